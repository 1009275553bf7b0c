/* Loops that gcc -O3 and clang -O3 make packed instructions of, and intrinsics for what they leave out: a checksum a line.
   A NaN counts as one value. */
#include <math.h>
#include <smmintrin.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { N = 64 };

static _Alignas(16) union {
    uint8_t b[3][N * 8];
    int8_t sb[3][N * 8];
    uint16_t h[3][N * 4];
    int16_t sh[3][N * 4];
    int32_t w[3][N * 2];
    int64_t d[3][N];
    float f[3][N * 2];
    double g[3][N];
} m;

static uint64_t state = 88172645463325252u;

static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static void fill(void)
{
    int64_t *all = (int64_t *)&m;
    for (int i = 0; i < 3 * N; i++)
        all[i] = (int64_t)next();
}

static void fill_floats(int wide)
{
    static const double odd[] = {0.0, -0.0, 0.5, -2.5, 3.5, 2147483647.5, -2147483649.0, 1e19, INFINITY, -INFINITY, NAN, 4e9};
    char *all = (char *)&m;
    for (int i = 0; i < 3 * N * (wide ? 1 : 2); i++) {
        double x = next() % 3 ? (double)(int64_t)next() * 1e-15 : odd[next() % 12];
        float y = (float)x;
        memcpy(all + i * (wide ? 8 : 4), wide ? (void *)&x : &y, wide ? 8 : 4);
    }
}

static void report(const char *name)
{
    uint32_t hash = 2166136261u;
    for (int i = 0; i < N * 8; i++)
        hash = (hash ^ m.b[0][i]) * 16777619u;
    printf("%s %08x\n", name, hash);
}

#define EACH(name, type, field, count, value)                                                                                  \
    __attribute__((noinline)) static void name(type *restrict r, const type *restrict x, const type *restrict y)               \
    {                                                                                                                          \
        for (int i = 0; i < count; i++) {                                                                                      \
            type a = x[i], b = y[i];                                                                                           \
            r[i] = value;                                                                                                      \
        }                                                                                                                      \
    }

EACH(mean, uint8_t, b, N * 8, (a + b + 1) >> 1)
EACH(sums, int16_t, sh, N * 4, a + b > 32767 ? 32767 : a + b < -32768 ? -32768 : a + b)
EACH(products, int32_t, w, N * 2, a * b + (a >> 3))
EACH(picked, int32_t, w, N * 2, a == b ? a : b < 7 ? ~b : a ^ b)
EACH(lesser, float, f, N * 2, a < b ? a * 2 : b - 1)
EACH(floors, double, g, N, floor(a) + (b > 0 ? 1 : 2))
EACH(nearest, float, f, N * 2, rintf(a) + b)

__attribute__((noinline)) static void converted(int32_t *restrict r, const float *restrict x)
{
    for (int i = 0; i < N * 2; i++)
        r[i] = (int32_t)x[i];
}

__attribute__((noinline)) static void narrowed(int32_t *restrict r, const double *restrict x)
{
    for (int i = 0; i < N; i++)
        r[i] = _mm_cvttsd_si32(_mm_set_sd(x[i]));
    for (int i = 0; i < N; i += 2)
        _mm_storel_epi64((__m128i *)(r + N + i), _mm_cvtpd_epi32(_mm_loadu_pd(x + i)));
}

__attribute__((noinline)) static void packed(uint8_t *restrict r, const int16_t *restrict x)
{
    for (int i = 0; i < N * 4; i++)
        r[i] = x[i] < 0 ? 0 : x[i] > 255 ? 255 : x[i];
}

__attribute__((noinline)) static int64_t dot(const int16_t *restrict x, const int16_t *restrict y)
{
    int32_t sum = 0;
    for (int i = 0; i < N * 4; i++)
        sum += x[i] * y[i];
    return sum;
}

__attribute__((noinline)) static void shuffled(__m128i *restrict r, const __m128i *restrict x, const __m128i *restrict y)
{
    for (int i = 0; i < N / 2; i++) {
        __m128i a = _mm_shuffle_epi8(x[i], y[i]), b = _mm_sign_epi8(_mm_alignr_epi8(x[i], y[i], 5), x[i]);
        __m128i c = _mm_blendv_epi8(a, _mm_abs_epi16(b), _mm_cmpgt_epi64(x[i], y[i]));
        int signs = _mm_movemask_epi8(c) + _mm_popcnt_u32(_mm_extract_epi32(c, 2)) + _mm_testz_si128(a, b);
        r[i] = _mm_insert_epi32(_mm_packus_epi32(c, _mm_mul_epi32(a, b)), signs, 1);
    }
}

__attribute__((noinline)) static uint32_t checked(const uint8_t *x)
{
    uint32_t sum = 1;
    for (int i = 0; i < N; i++)
        sum = _mm_crc32_u8(sum, x[i]);
    return sum;
}

static void joined(void)
{
    for (int i = 0; i < N * 2; i++)
        if (m.f[0][i] != m.f[0][i])
            m.w[0][i] = 0x7fc00000;
    for (int i = 0; i < N; i++)
        if (m.g[0][i] != m.g[0][i])
            m.d[0][i] = 0x7ff8000000000000;
}

#define RUN(name, field) fill(), name(m.field[0], m.field[1], m.field[2]), report(#name)

int main(void)
{
    RUN(mean, b), RUN(sums, sh), RUN(products, w), RUN(picked, w);
    fill_floats(0), lesser(m.f[0], m.f[1], m.f[2]), joined(), report("lesser");
    fill_floats(0), nearest(m.f[0], m.f[1], m.f[2]), joined(), report("nearest");
    fill_floats(0), converted(m.w[0], m.f[1]), report("converted");
    fill_floats(1), floors(m.g[0], m.g[1], m.g[2]), joined(), report("floors");
    fill_floats(1), narrowed(m.w[0], m.g[1]), report("narrowed");
    fill(), packed(m.b[0], m.sh[1]), report("packed");
    fill(), shuffled((__m128i *)m.b[0], (__m128i *)m.b[1], (__m128i *)m.b[2]), report("shuffled");
    printf("%lld %08x\n", (long long)dot(m.sh[1], m.sh[2]), checked(m.b[1]));
    return 0;
}
