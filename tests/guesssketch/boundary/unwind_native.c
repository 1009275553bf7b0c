#include <unwind.h>

struct walk { void *const *frames; int left, found, steps; };

static _Unwind_Reason_Code step(struct _Unwind_Context *context, void *argument) {
    struct walk *walk = argument;
    if (walk->left && (void *)_Unwind_GetCFA(context) == walk->frames[walk->left - 1]) {
        walk->left--;
        walk->found++;
    }
    return ++walk->steps < 100 ? _URC_NO_REASON : _URC_END_OF_STACK;
}

/* How many frames, given by their canonical frame addresses, the last one first, are on the stack one behind the other. */
int unwound(void *const *frames, int count) {
    struct walk walk = {frames, count, 0, 0};
    _Unwind_Backtrace(step, &walk);
    return walk.found;
}
