#include "structs.h"

FUNCTIONS(g)

int main(void) {
    CALLS(n);
    check(gP, gV, gD3, gF4, gD4, gC13, gL17, gW);
    return 0;
}
