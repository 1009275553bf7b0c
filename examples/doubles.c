/* Scalar floating point: arithmetic, comparison, every conversion, float as well as double; no libm. */
#include <float.h>
#include <stdio.h>
#include <string.h>

static double square_root(double x)
{
    double guess = x > 1 ? x / 2 : 1;
    for (int i = 0; i < 40; i++)
        guess = 0.5 * (guess + x / guess);
    return guess;
}

static double pi(void)
{
    double sum = 0, sign = 1;
    for (int k = 0; k < 20000; k++, sign = -sign)
        sum += sign / (2 * k + 1);
    return 4 * sum;
}

static float harmonic(int n)
{
    float sum = 0;
    for (int i = n; i > 0; i--)
        sum += 1.0f / (float)i;
    return sum;
}

static int classify(double a, double b)
{
    return (a < b) | (a <= b) << 1 | (a > b) << 2 | (a >= b) << 3 | (a == b) << 4 | (a != b) << 5;
}

static unsigned long bits(double x)
{
    unsigned long u;
    memcpy(&u, &x, sizeof u);
    return u;
}

int main(int argc, char **argv)
{
    (void)argv;
    volatile double half = 0.5 * argc, big = 1e15 * argc, minus = -2.75 * argc, zero = 0.0 * argc;
    volatile float third = 1.0f / (3.0f * (float)argc);
    volatile unsigned long huge = 0xfffffffffffff000ul;
    double nan = big;
    nan = nan * 1e300 * 1e300;
    nan = nan - nan;

    printf("sqrt(2) %.15f\npi %.12f\nharmonic %.7g\n", square_root(2.0 * argc), pi(), (double)harmonic(1000 * argc));
    printf("to integer %d %ld %u %ld %d\n", (int)minus, (long)big, (unsigned)(big / 1e6), (long)(half * 7), (int)(signed char)half);
    printf("from integer %.1f %.1f %.1f %.1f\n", (double)-argc, (double)(1L << 60), (double)huge, (double)(4000000000u * (unsigned)argc));
    printf("float %.9g %.9g %.17g\n", (double)third, (double)(float)big, (double)third * 3);
    printf("unsigned long %lu\n", (unsigned long)(1.5e19 * argc));
    printf("bits %016lx %016lx %016lx\n", bits(half), bits(minus), bits(-zero));
    printf("compare %d %d %d %d\n", classify(half, big), classify(minus, -2.75), classify(big, half), classify(nan, half));
    printf("minimum %.3g, epsilon %.3g, smallest %.3g\n", half < minus ? half : minus, DBL_EPSILON * argc, DBL_MIN * argc);
    printf("absolute %.2f, negated %.2f\n", __builtin_fabs(minus), -minus);
    return 0;
}
