/* Thread-local variables of every linkage, in threads; `extra` is defined by another object. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

_Thread_local int counter = 5;
extern _Thread_local long extra;
static _Thread_local char text[40] = "hello";
static _Thread_local int zero;
static _Thread_local struct { double d; long q[4]; } mixed;
__attribute__((visibility("hidden"))) _Thread_local short hidden = 3;

int *address(void) { return &counter; }
static int count(int k) {
    zero += k;
    mixed.q[k & 3] += zero;
    mixed.d += 0.5;
    hidden++;
    text[k & 31] = 'a' + k;
    return zero + counter + (int)mixed.q[1];
}
static void *run(void *p) {
    long n = (long)p, s = 0;
    for (int i = 0; i < n; i++) {
        s += count(i) + (extra += n) + (*address())++;
        errno = 0;
        if (strtol("99999999999999999999", 0, 10) && errno == ERANGE) s++;
    }
    return (void *)(s + hidden + (long)mixed.d + text[2]);
}
int entry(void) {
    pthread_t t[3];
    for (long i = 0; i < 3; i++) pthread_create(&t[i], 0, run, (void *)(i * 10 + 1));
    for (int i = 0; i < 3; i++) {
        void *r;
        pthread_join(t[i], &r);
        printf("%ld\n", (long)r);
    }
    long last = (long)run((void *)5);
    printf("%ld %s %d\n", last, text, counter);
    fflush(stdout);
    return 0;
}
