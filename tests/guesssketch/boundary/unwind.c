/* Translated frames, of fixed size and not, as an unwinder in native code finds them. */
#include <stdio.h>

int unwound(void *const *frames, int count);

static void *frames[8];
static int count;

__attribute__((noinline)) static int fixed(int n) {
    volatile int room[40];
    room[n] = n;
    frames[count++] = __builtin_dwarf_cfa();
    int found = unwound(frames, count);
    return found + room[n] - n;
}

__attribute__((noinline)) static int varying(int n, int more) {
    volatile char room[n];
    room[n - 1] = 1;
    frames[count++] = __builtin_dwarf_cfa();
    int found = more ? varying(n + 100, more - 1) : fixed(n & 31);
    return found * room[n - 1];
}

int main(void) {
    frames[count++] = __builtin_dwarf_cfa();
    int found = varying(50, 2);
    printf("%d of %d\n", found, count);
    return 0;
}
