#include <stdarg.h>

#include "structs.h"

FUNCTIONS(n)

long sum(int n, ...) {
    va_list list;
    long result = 0;
    va_start(list, n);
    while (n--) result = result * 3 + va_arg(list, int);
    va_end(list);
    return result;
}

void check(P (*gP)(V), V (*gV)(D3), D3 (*gD3)(F4, int, D4), F4 (*gF4)(C13), D4 (*gD4)(L17, float), C13 (*gC13)(void),
           L17 (*gL17)(C13, C13, C13, C13, C13), W (*gW)(int, W, int, int, int, int, W), B (*gB)(B, int, B)) {
    CALLS(g);
}
