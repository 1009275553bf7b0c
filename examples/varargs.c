/* Variable arguments both ways: calls of printf and sscanf, own variadic functions, and a va_list handed on to libc. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static long sum_of_ints(int count, ...)
{
    va_list list;
    long sum = 0;
    va_start(list, count);
    while (count-- > 0)
        sum += va_arg(list, int);
    va_end(list);
    return sum;
}

static double mixed(const char *kinds, ...)
{
    va_list list, again;
    double sum = 0;
    va_start(list, kinds);
    va_copy(again, list);
    for (const char *k = kinds; *k; k++)
        sum += *k == 'd' ? va_arg(list, double) : *k == 'l' ? (double)va_arg(list, long) : (double)va_arg(list, int);
    va_end(list);
    if (*kinds == 'd')
        sum += 1000 * va_arg(again, double);
    va_end(again);
    return sum;
}

__attribute__((format(printf, 3, 4))) static int bracketed(char *out, size_t size, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int n = vsnprintf(out + 1, size - 2, format, list);
    va_end(list);
    out[0] = '[';
    strcat(out, "]");
    return n;
}

int main(int argc, char **argv)
{
    (void)argv;
    char text[128];
    int one = argc;

    printf("%d %s %c %5.2f %ld %#x %g %u %e\n", one, "two", '3', 4.0, 5L * one, 6, 7.5, 8u, 9.0);
    printf("%d %d %d %d %d %d %d %d %d %d\n", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 * one);
    printf("%.1f %.1f %.1f %.1f %.1f %.1f %.1f %.1f %.1f %.1f\n", 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, (double)one);
    printf("%*d|%-*s|%.*f\n", 6, 42, 6, "left", 3, 2.71828);

    int day, year, fields;
    double price;
    char month[16], currency[4];
    unsigned long big;
    fields = sscanf("14 March 2024 costs 12.75 EUR 18446744073709551615", "%d %15s %d costs %lf %3s %lu", &day, month, &year,
                    &price, currency, &big);
    printf("%d fields: %d %s %d %.2f %s %lu\n", fields, day, month, year, price, currency, big);

    printf("sum %ld\n", sum_of_ints(12, 1, -2, 3, -4, 5, -6, 7, -8, 9, -10, 11, 2147483647));
    printf("mixed %.3f\n", mixed("didldiddddddddl", 0.5, 1, 0.25, 3000000000L, 0.125, -7, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9L));

    int n = bracketed(text, sizeof text, "%s=%d, %.3f, %ld, %c, %x, %g", "key", -1, 3.14159, 1L << 40, 'z', 255u, 1e100);
    printf("%d %s\n", n, text);
    return 0;
}
