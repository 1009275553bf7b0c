/* Jumps out of native frames, through translated ones, from native code, within alloca, with signal masks. */
#include <alloca.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static jmp_buf env, outer;
static sigjmp_buf mask;
int native_sum(int (*f)(int), int n, const double *w);
int native_clobber(void (*f)(void), const double *w);
void native_throw(void (*f)(jmp_buf, int), jmp_buf e, int v);

static int deep(int n) {
    if (n == 0) longjmp(env, 1);
    return deep(n - 1) + n;
}

static long loop(int rounds) {
    volatile long total = 0;
    long fixed = rounds * 7L;
    for (volatile int i = 0; i < rounds; i++) {
        int r = setjmp(env);
        if (r == 0) deep(i);
        total += r + fixed;
    }
    return total;
}

static int compared;
static int compare(const void *a, const void *b) {
    if (++compared == 20) longjmp(env, 42);
    return *(const int *)a - *(const int *)b;
}
static int out_of_sort(int n) {
    int v[40];
    for (int i = 0; i < 40; i++) v[i] = i * 37 % 40;
    compared = 0;
    int r = setjmp(env);
    if (r == 0) qsort(v, 40, sizeof *v, compare);
    return r + n;
}

static const double weights[] = {1.5, 2.5, 3.5, 4.5};
static void jump(void) { longjmp(env, 3); }
static int out_of_native(int n) {
    int r = setjmp(env);
    if (r == 0) native_clobber(jump, weights);
    return r * n + out_of_sort(n);
}

static int nested(void) {
    volatile int state = 0;
    if (setjmp(outer) == 0) {
        if (setjmp(env) == 0) deep(3);
        state = 10;
        longjmp(outer, 0);
    }
    return state;
}

/* More than the room that is left below a frame in any case, and native code between that uses as much. */
static int with_alloca(int n) {
    volatile int rounds = 0;
    int kept = 0;
    char text[400];
    char *p = memset(alloca(n), 0, n);
    setjmp(env);
    rounds++;
    char *q = memset(alloca(n * rounds), 1, n * rounds);
    snprintf(text, sizeof text, "%f", 1e300);
    if (rounds < 5) longjmp(env, rounds);
    for (int i = 0; i < 5 * n; i++) kept += q[i];
    return p[n - 1] * 10 + (kept == 5 * n);
}

static void handler(int s) { siglongjmp(mask, s); }
static void masks(int save) {
    sigset_t now;
    volatile int rounds = 0;
    sigemptyset(&now);
    sigaddset(&now, SIGUSR2);
    sigprocmask(SIG_SETMASK, &now, 0);
    int r = sigsetjmp(mask, save);
    sigprocmask(SIG_SETMASK, 0, &now);
    printf("%d %d %d\n", r == SIGUSR1, sigismember(&now, SIGUSR1), sigismember(&now, SIGUSR2));
    sigemptyset(&now);
    sigprocmask(SIG_SETMASK, &now, 0);
    if (++rounds < 2) raise(SIGUSR1);
}

int main(void) {
    signal(SIGUSR1, handler);
    printf("%ld %d %d %d\n", loop(6), nested(), with_alloca(500), native_sum(out_of_native, 3, weights));
    masks(1);
    masks(0);
    int r = setjmp(env);
    if (r == 0) native_throw(longjmp, env, 77);
    printf("%d\n", r);
    return 0;
}
