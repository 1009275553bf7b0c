/* The stack: variable-length arrays, alloca, buffers under the stack protector, addresses of locals that escape, big frames. */
#include <alloca.h>
#include <stdio.h>
#include <string.h>

static long pascal(int row, int column)
{
    long line[row + 1];
    line[0] = 1;
    for (int i = 1; i <= row; i++) {
        line[i] = 1;
        for (int j = i - 1; j > 0; j--)
            line[j] += line[j - 1];
    }
    return line[column];
}

static int reversed(const char *text, char *out)
{
    size_t n = strlen(text);
    char *copy = alloca(n + 1);
    for (size_t i = 0; i < n; i++)
        copy[i] = text[n - 1 - i];
    copy[n] = 0;
    strcpy(out, copy);
    return (int)n;
}

static int depth(int n, const int *parent)
{
    char pad[40];
    snprintf(pad, sizeof pad, "%d", n);
    return n == 0 ? (int)strlen(pad) + *parent : depth(n - 1, &n) + pad[0] - '0';
}

static unsigned big_frame(unsigned seed)
{
    unsigned words[4000], sum = 0;
    for (int i = 0; i < 4000; i++)
        words[i] = seed = seed * 69069u + 1u;
    for (int i = 0; i < 4000; i += 3)
        sum ^= words[i];
    return sum;
}

int main(int argc, char **argv)
{
    (void)argv;
    char text[64];
    for (int row = 0; row <= 40 * argc; row += 10)
        printf("pascal(%d, %d) = %ld\n", row, row / 2, pascal(row, row / 2));
    int n = reversed("a stack of words", text);
    printf("%d %s\n", n, text);
    printf("depth %d\n", depth(25, &argc));
    printf("frame %u\n", big_frame((unsigned)argc));
    return 0;
}
