/* Structs that travel differently under the three conventions; n... are native, g... are translated. */
#include <stdio.h>

typedef struct __attribute__((packed)) { char c; float f; } P;
typedef struct __attribute__((packed)) { char c; int i; } V;
typedef struct { double x, y, z; } D3;
typedef struct { float a[4]; } F4;
typedef union { struct { double x, y, z, w; } s; double v[4]; } D4;
typedef struct { char s[13]; } C13;
typedef struct { long a, b; char c; } L17;
typedef struct { __int128 v; } W;
typedef struct { char s[995]; } B;

#define FUNCTIONS(p) \
    P p##P(V v) { return (P){v.c + 1, v.i + .5f}; } \
    V p##V(D3 d) { return (V){(char)d.x, (int)(d.y + d.z)}; } \
    D3 p##D3(F4 f, int i, D4 d) { return (D3){f.a[0] + i, f.a[3] * d.v[3], d.s.y + f.a[1] + f.a[2]}; } \
    F4 p##F4(C13 c) { return (F4){{c.s[0], c.s[6], c.s[11], c.s[12]}}; } \
    D4 p##D4(L17 l, float f) { return (D4){{l.a, l.b * f, l.c, f}}; } \
    C13 p##C13(void) { return (C13){"abcdefghijkl"}; } \
    L17 p##L17(C13 a, C13 b, C13 c, C13 d, C13 e) { return (L17){a.s[0] + b.s[1], c.s[2] + d.s[12], e.s[12] + e.s[8]}; } \
    W p##W(int a, W b, int c, int d, int e, int f, W g) { return (W){b.v + a * 3 + c + d + e + f + g.v * 5}; } \
    B p##B(B b, int i, B c) { B d = b; d.s[i] += c.s[0] + c.s[i + 1] * 2 + c.s[994] * 3; return d; }

#define CALLS(p) \
    P p = p##P((V){4, 5}); \
    V v = p##V((D3){1, 2, 3}); \
    D3 d = p##D3((F4){{1, 2, 3, 4}}, 7, (D4){{1, 2, 3, 4}}); \
    C13 c = p##C13(); \
    F4 f = p##F4(c); \
    D4 q = p##D4((L17){1, 2, 3}, 2.5f); \
    L17 l = p##L17(c, c, c, c, c); \
    W w = p##W(1, (W){2}, 3, 4, 5, 6, (W){7}); \
    B b = p##B((B){{[3] = 4, [992] = 5, 6, 7}}, 992, (B){{1, [256] = 2, [993] = 11, 12}}); \
    printf("%d %g %d %d %g %g %g %s %g %g %g %g\n", p.c, p.f, v.c, v.i, d.x, d.y, d.z, c.s, f.a[0], f.a[1], f.a[2], f.a[3]); \
    printf("%g %g %g %g %ld %ld %d %ld\n", q.v[0], q.v[1], q.v[2], q.v[3], l.a, l.b, l.c, (long)w.v); \
    printf("%d %d %d %d %d %d\n", b.s[0], b.s[3], b.s[256], b.s[992], b.s[993], b.s[994])

P nP(V);
V nV(D3);
D3 nD3(F4, int, D4);
F4 nF4(C13);
D4 nD4(L17, float);
C13 nC13(void);
L17 nL17(C13, C13, C13, C13, C13);
W nW(int, W, int, int, int, int, W);
B nB(B, int, B);
void check(P (*)(V), V (*)(D3), D3 (*)(F4, int, D4), F4 (*)(C13), D4 (*)(L17, float), C13 (*)(void),
           L17 (*)(C13, C13, C13, C13, C13), W (*)(int, W, int, int, int, int, W), B (*)(B, int, B));
long sum(int n, ...);
