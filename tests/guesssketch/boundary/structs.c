#include "structs.h"

FUNCTIONS(g)

int main(void) {
    CALLS(n);
    printf("%ld\n", sum(10, 1, -2, 3, 4, 5, 6, 7, 8, 9, -10));
    check(gP, gV, gD3, gF4, gD4, gC13, gL17, gW, gB);
    return 0;
}
