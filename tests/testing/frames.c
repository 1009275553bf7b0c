/* Functions whose frames differ in kind; what they compute passes through the frame, over calls. */

#include "frames.h"

struct big { long x[5]; };
struct mixed { int a; double b; };

__attribute__((noinline)) static long fill(int *p, int n, long v) {
    for (int i = 0; i < n; i++) p[i] = v + i * n;
    return p[n / 2];
}

/* Values in callee-saved registers over calls out. */
long saved(long a, long b, long c, long d, long e) {
    long r = outside(a, 1) ^ b;
    r += outside(c, 2) * (d | 1);
    return r + outside(r, 3) + a - b + c - d + e;
}

/* Floats over calls: x86-64 has no callee-saved vector registers. */
double floats(double a, double b, int n) {
    double s = a;
    for (int i = 0; i < (n & 3); i++) s = rounded(s + b) - a * i;
    return s + b;
}

/* Arguments on the stack, in and out. */
long stacked(long a, int b, long c, int d, long e, int f, short g, long h, signed char i, double j, unsigned char k, float l) {
    return a + b * c - d * e + f * g - h * i + (j > 2.5) + k * (l < 1);
}

long passes(long a, int b, short c, double d) {
    return stacked(b, a, c, b + 1, a ^ c, c, b, a + 7, c, d, b, (float)d) + a;
}

/* A local array whose address is passed on; the frame is larger than an immediate. */
long array(int n, long v) {
    int a[1500];
    long r = fill(a, (n & 31) + 1, v);
    return r + a[n & 15 & (n & 31)] + outside(a[0], 0);
}

/* A frame whose size is known when it runs, and one that is aligned. */
long dynamic(int n, long v) {
    int a[(n & 15) + 1];
    long r = fill(a, (n & 15) + 1, v);
    return r ^ outside(a[n & 15], v);
}

long aligned(int n, long v) {
    _Alignas(64) int a[32];
    return fill(a, (n & 31) + 1, v) + ((long)a & 63) + outside(v, n);
}

/* Frames on frames. */
long deep(int n, long v) {
    int a[4];
    fill(a, 4, v);
    return (n & 7) ? a[n & 3] + deep((n & 7) - 1, v * 3 + a[1]) - v : outside(v, a[2]);
}

/* Below the stack pointer: a leaf keeps its locals there on x86-64. */
long leaf(int a, long b) {
    volatile long x[6];
    for (int i = 0; i < 6; i++) x[i] = b >> i;
    return x[a & 3] - x[5];
}

/* Results in memory and in two registers. */
struct big large(struct big v, struct mixed m) {
    v.x[m.a & 3] += outside(v.x[4], m.b);
    return v;
}

struct mixed pair(struct mixed m, long a) {
    m.a += outside(a, m.b);
    m.b = rounded(m.b) + a;
    return m;
}
