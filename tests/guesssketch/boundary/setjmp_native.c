/* Keeps enough alive across calls to fill the callee-saved registers. */
#include <setjmp.h>

int native_sum(int (*f)(int), int n, const double *w) {
    double a = w[0], b = w[1], c = w[2], d = w[3], e = a * b, g = c * d, h = a * d, i = b * c;
    long p = n * 3, q = n * 5, r = n * 7, s = n * 11, t = n * 13, u = n * 17;
    int x = 0;
    for (int k = 0; k < n; k++) {
        x += f(k);
        a += b; c += d; e += g; h += i; p += q; r += s; t += u;
    }
    return x + (int)(a + b + c + d + e + g + h + i) + (int)(p + q + r + s + t + u);
}

int native_clobber(void (*f)(void), const double *w) {
    double a = w[3], b = w[2], c = w[1], d = w[0], e = a * b, g = c * d, h = a * d, i = b * c;
    long p = (long)w, q = p * 5, r = p * 7, s = p * 11, t = p * 13, u = p * 17;
    for (int k = 0; k < 2; k++) {
        f();
        a += b; c += d; e += g; h += i; p += q; r += s; t += u;
    }
    return (int)(a + b + c + d + e + g + h + i) + (int)(p + q + r + s + t + u);
}

void native_throw(void (*f)(jmp_buf, int), jmp_buf e, int v) { f(e, v); }
