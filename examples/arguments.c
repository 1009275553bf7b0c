/* Many arguments: more than fit in registers, integers and doubles mixed, narrow ones, to own functions and to libc. */
#include <stdio.h>

__attribute__((noinline)) static double all(int a, double p, long b, double q, short c, double r, char d, double s, unsigned e, double t,
                                            unsigned long f, double u, int g, double v, long h, double w, double x, double y)
{
    return a + 2 * b + 3 * c + 4 * d + 5 * (double)e + 6 * (double)f + 7 * g + 8 * (double)h + p / 2 + q / 4 + r / 8 + s / 16 + t + u - v +
           w * x - y;
}

__attribute__((noinline)) static int narrow(signed char a, unsigned char b, short c, unsigned short d, int e, int f, signed char g,
                                            unsigned char h, short i, unsigned short j)
{
    return a + b + c + d + e - f + g * 2 + h * 3 + i * 5 + j * 7;
}

__attribute__((noinline)) static long pass_on(long a, long b, long c, long d, long e, long f, long g, long h)
{
    return narrow((signed char)h, (unsigned char)g, (short)f, (unsigned short)e, (int)d, (int)c, (signed char)b, (unsigned char)a, (short)b,
                  (unsigned short)c);
}

__attribute__((noinline)) static float floats(float a, float b, float c, float d, float e, float f, float g, float h, float i, float j)
{
    return a - b + c - d + e - f + g - h + i * j;
}

int main(int argc, char **argv)
{
    (void)argv;
    printf("%.6f\n", all(-1 * argc, 0.5, 1L << 33, 1.5, -3, 2.5, 'd', 3.5, 4000000000u, 4.5, 1ul << 40, 5.5, -7, 6.5, -8, 7.5, 8.5, 9.5));
    printf("%d\n", narrow(-100, 200, -30000, 60000, 7 * argc, 8, -128, 255, 32767, 65535));
    printf("%ld\n", pass_on(1L * argc, -2, 300, -40000, 70000, -60000, 511, 129));
    printf("%.4f\n", (double)floats(1.5f, 2.25f, 3, 4, 5.5f, 6, 7, 8.125f * (float)argc, 9, 10));
    return 0;
}
