/* Structures by value: in one or two integer registers, in vector registers, in one of each, and in memory; also from libc. */
#include <stdio.h>
#include <stdlib.h>

typedef struct { int x, y; } point;
typedef struct { long low, high; } pair;
typedef struct { double re, im; } complex_number;
typedef struct { long count; double sum; } tally;
typedef struct { int cells[3][3]; } matrix;

__attribute__((noinline)) static point mirror(point p)
{
    return (point){p.y, -p.x};
}

__attribute__((noinline)) static pair order(long a, long b)
{
    return a < b ? (pair){a, b} : (pair){b, a};
}

__attribute__((noinline)) static complex_number multiply(complex_number a, complex_number b)
{
    return (complex_number){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

__attribute__((noinline)) static tally add(tally t, double value)
{
    return (tally){t.count + 1, t.sum + value};
}

__attribute__((noinline)) static matrix product(matrix a, matrix b)
{
    matrix r = {{{0}}};
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            for (int k = 0; k < 3; k++)
                r.cells[i][j] += a.cells[i][k] * b.cells[k][j];
    return r;
}

int main(int argc, char **argv)
{
    (void)argv;
    point p = mirror((point){3 * argc, 4});
    printf("point %d %d\n", p.x, p.y);

    pair o = order(70L * argc, -7);
    printf("pair %ld %ld\n", o.low, o.high);

    complex_number z = {1, 0.5};
    for (int i = 0; i < 4; i++)
        z = multiply(z, z);
    printf("complex %.10g %.10g\n", z.re, z.im);

    tally t = {0, 0};
    for (int i = 1; i <= 10; i++)
        t = add(t, 1.0 / i);
    printf("tally %ld %.12f\n", t.count, t.sum);

    matrix m = {{{1, 1, 0}, {0, 1, 1}, {1, 0, 1}}}, power = m;
    for (int i = 0; i < 5; i++)
        power = product(power, m);
    printf("matrix %d %d %d\n", power.cells[0][0], power.cells[1][2], power.cells[2][1]);

    div_t d = div(-1000 * argc, 7);
    ldiv_t l = ldiv(1000000007L * argc, 1024);
    printf("div %d %d, ldiv %ld %ld\n", d.quot, d.rem, l.quot, l.rem);
    return 0;
}
