/* Recursion: direct, doubly, mutual, and through a return address many frames deep. */
#include <stdio.h>

static unsigned long moves;

static void hanoi(int discs, int from, int to, int via)
{
    if (discs == 0)
        return;
    hanoi(discs - 1, from, via, to);
    moves++;
    hanoi(discs - 1, via, to, from);
}

static unsigned ackermann(unsigned m, unsigned n)
{
    if (m == 0)
        return n + 1;
    if (n == 0)
        return ackermann(m - 1, 1);
    return ackermann(m - 1, ackermann(m, n - 1));
}

static int is_odd(unsigned n);

static int is_even(unsigned n)
{
    return n == 0 ? 1 : is_odd(n - 1);
}

static int is_odd(unsigned n)
{
    return n == 0 ? 0 : is_even(n - 1);
}

static long fibonacci(int n)
{
    return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

int main(void)
{
    hanoi(12, 'a', 'b', 'c');
    printf("hanoi(12) takes %lu moves\n", moves);
    printf("ackermann(2, 9) = %u\n", ackermann(2, 9));
    printf("1001 is %s\n", is_even(1001) ? "even" : "odd");
    for (int n = 5; n <= 20; n += 5)
        printf("fibonacci(%d) = %ld\n", n, fibonacci(n));
    return 0;
}
