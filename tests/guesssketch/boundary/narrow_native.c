typedef long wide(long, long, long, long, long, long);
typedef long narrow(unsigned char, signed char, unsigned short, short, _Bool, int);

/* On AArch64 a caller may leave anything above a narrow argument; RISC-V's extends it to 32 bits, and those to 64. */
long called(narrow *f) {
#ifdef __aarch64__
    return ((wide *)f)(0x5aa5c8, 0x5aa5fd, 0x5aa5ea60, 0x5aa5fffb, 1, 0x5aa5000000000007);
#else
    volatile int a = 0xc8, b = 0xfd, c = 0xea60, d = 0xfffb;
    return f(a, b, c, d, 1, 7);
#endif
}

unsigned char native_narrow(unsigned char a, signed char b, unsigned short c, short d) {
    return a / 3 + b / 3 + c / 7 + d / 7;
}
