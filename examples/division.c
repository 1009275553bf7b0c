/* Division and remainder: signed and unsigned, 8 to 64 bits, by constants and by variables, with the signs' corner cases. */
#include <limits.h>
#include <stdio.h>

static unsigned long gcd(unsigned long a, unsigned long b)
{
    while (b) {
        unsigned long r = a % b;
        a = b;
        b = r;
    }
    return a;
}

static unsigned long power_modulo(unsigned long base, unsigned long exponent, unsigned long modulus)
{
    unsigned long result = 1;
    for (base %= modulus; exponent; exponent >>= 1, base = base * base % modulus)
        if (exponent & 1)
            result = result * base % modulus;
    return result;
}

__attribute__((noinline)) static void show(long a, long b)
{
    int c = (int)a, d = (int)b;
    printf("%ld / %ld: %ld %ld, %lu %lu, ", a, b, a / b, a % b, (unsigned long)a / (unsigned long)b, (unsigned long)a % (unsigned long)b);
    if (d != 0 && !(c == INT_MIN && d == -1))
        printf("%d %d, %u %u\n", c / d, c % d, (unsigned)c / (unsigned)d, (unsigned)c % (unsigned)d);
    else
        printf("no 32-bit quotient\n");
}

int main(int argc, char **argv)
{
    (void)argv;
    show(100L * argc, 7);
    show(-100L * argc, 7);
    show(100L * argc, -7);
    show(-100L * argc, -7);
    show(LONG_MIN, 10L * argc);
    show(LONG_MIN + 1, -1L * argc);
    show(0x123456789abcdefL, 0x10001L * argc);
    show(5L * argc, LONG_MAX);
    show(INT_MIN, -1L * argc);

    volatile long dividend = -1234567890123456789L;
    printf("constants %ld %ld %ld %ld %ld\n", dividend / 3, dividend / 10, dividend % 1000, dividend / 8, dividend % 16);
    volatile unsigned udividend = 4000000000u;
    printf("unsigned constants %u %u %u\n", udividend / 7, udividend % 10, udividend / 641);
    volatile unsigned char byte = 250;
    volatile short word = -32000;
    printf("narrow %d %d %d %d\n", byte / 7, byte % 7, word / 11, word % 11);
    unsigned __int128 wide = (unsigned __int128)(unsigned long)dividend * 987654321987654321ul;
    printf("high product %lu %lu\n", (unsigned long)(wide >> 64), (unsigned long)wide);
    printf("gcd %lu, power %lu\n", gcd(1071ul << 32, 462ul << 32), power_modulo(3, 1000003ul * (unsigned)argc, 4294967291ul));
    return 0;
}
