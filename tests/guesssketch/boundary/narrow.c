/* Narrow arguments and results: callees on x86-64 take it for granted that the caller extended them, on AArch64 they do not. */
#include <stdio.h>

typedef long narrow(unsigned char, signed char, unsigned short, short, _Bool, int);

long called(narrow *f);
unsigned char native_narrow(unsigned char a, signed char b, unsigned short c, short d);

long translated_narrow(unsigned char a, signed char b, unsigned short c, short d, _Bool e, int f) {
    return a + 1000L * b + 1000000L * c + 100000000000L * d + e + f;
}

int main(void) {
    long sum = 0;
    for (int i = -3; i < 4; i++) sum = sum * 3 + native_narrow(i * 77, i * 50, i * 30000, i * 9000);
    printf("%ld %ld\n", called(translated_narrow), sum);
    return 0;
}
