/* Bit tricks: shifts, rotations, counting, scanning, byte swaps, carries, masks and conditional moves. */
#include <stdint.h>
#include <stdio.h>

static uint32_t rotate(uint32_t x, unsigned n)
{
    return x << (n & 31) | x >> (-n & 31);
}

static unsigned reverse(unsigned x)
{
    x = (x >> 1 & 0x55555555u) | (x & 0x55555555u) << 1;
    x = (x >> 2 & 0x33333333u) | (x & 0x33333333u) << 2;
    x = (x >> 4 & 0x0f0f0f0fu) | (x & 0x0f0f0f0fu) << 4;
    return __builtin_bswap32(x);
}

static uint64_t interleave(uint32_t x, uint32_t y)
{
    uint64_t r = 0;
    for (int i = 0; i < 32; i++)
        r |= (uint64_t)(x >> i & 1) << 2 * i | (uint64_t)(y >> i & 1) << (2 * i + 1);
    return r;
}

static uint64_t xorshift(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *state = x;
}

static int saturating_add(int a, int b)
{
    int sum;
    if (__builtin_add_overflow(a, b, &sum))
        return a < 0 ? INT32_MIN : INT32_MAX;
    return sum;
}

int main(int argc, char **argv)
{
    (void)argv;
    uint64_t state = 88172645463325252ull * (unsigned)argc;
    uint64_t mixed = 0;
    unsigned ones = 0, leading = 0, trailing = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t x = xorshift(&state);
        ones += (unsigned)__builtin_popcountll(x);
        leading += (unsigned)__builtin_clzll(x | 1);
        trailing += (unsigned)__builtin_ctz((unsigned)x | 0x80000000u);
        mixed = (mixed << 5 | mixed >> 59) ^ (x + i);
    }
    printf("ones %u, leading %u, trailing %u, mixed %016lx\n", ones, leading, trailing, (unsigned long)mixed);

    volatile uint32_t word = 0x12345678;
    for (unsigned n = 0; n <= 32; n += 8)
        printf("%08x ", rotate(word, n + (unsigned)argc));
    printf("rotated\nreversed %08x, swapped %016lx\n", reverse(word), (unsigned long)__builtin_bswap64(0x0123456789abcdefull * (unsigned)argc));
    printf("interleaved %016lx\n", (unsigned long)interleave(word, ~word));

    volatile int8_t small = -100;
    volatile int16_t medium = -30000;
    volatile int64_t wide = INT64_MIN + 12345;
    volatile unsigned count = 3;
    printf("shifts %d %d %ld %u\n", small >> count, medium >> count, (long)(wide >> (count + 30)), (unsigned)(uint8_t)small >> count);
    printf("extended %d %u %ld\n", small, (uint16_t)medium, (long)(int32_t)wide);
    printf("saturated %d %d %d\n", saturating_add(2000000000, 2000000000 * argc), saturating_add(-2000000000, -2000000000 * argc),
           saturating_add(5, -7 * argc));

    uint64_t low = 0xffffffffffffff00ull * (unsigned)argc, sum = low + 0x200, carry = sum < low;
    printf("carry %lu, parity %d, lowest bit %lu\n", (unsigned long)carry, __builtin_parity(word), (unsigned long)(low & -low));
    return 0;
}
