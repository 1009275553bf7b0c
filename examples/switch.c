/* Switches: a dense one (jump table), a sparse one (compare tree), and one that falls through; a little stack machine. */
#include <stdio.h>

enum op { PUSH, ADD, SUBTRACT, MULTIPLY, DUPLICATE, SWAP, OVER, NEGATE, JUMP_IF_ZERO, JUMP, STOP };

static long run(const int *code)
{
    long stack[16], t;
    int top = 0;
    for (int pc = 0;;) {
        switch (code[pc++]) {
        case PUSH: stack[top++] = code[pc++]; break;
        case ADD: top--; stack[top - 1] += stack[top]; break;
        case SUBTRACT: top--; stack[top - 1] -= stack[top]; break;
        case MULTIPLY: top--; stack[top - 1] *= stack[top]; break;
        case DUPLICATE: stack[top] = stack[top - 1]; top++; break;
        case SWAP: t = stack[top - 1]; stack[top - 1] = stack[top - 2]; stack[top - 2] = t; break;
        case OVER: stack[top] = stack[top - 2]; top++; break;
        case NEGATE: stack[top - 1] = -stack[top - 1]; break;
        case JUMP_IF_ZERO: pc = stack[--top] == 0 ? code[pc] : pc + 1; break;
        case JUMP: pc = code[pc]; break;
        case STOP: return stack[top - 1];
        default: return -1;
        }
    }
}

__attribute__((noinline)) static const char *size_name(long bytes)
{
    switch (bytes) {
    case 1: return "byte";
    case 1L << 10: return "kibibyte";
    case 1L << 20: return "mebibyte";
    case 1L << 30: return "gibibyte";
    case 1L << 40: return "tebibyte";
    default: return "size without a name";
    }
}

__attribute__((noinline)) static int days_left(int month)
{
    int days = 0;
    switch (month) {
    case 1: days += 31; /* fall through */
    case 2: days += 28; /* fall through */
    case 3: days += 31; /* fall through */
    case 4: days += 30; /* fall through */
    case 5: days += 31; /* fall through */
    case 6: days += 30; /* fall through */
    case 7: days += 31; /* fall through */
    case 8: days += 31; /* fall through */
    case 9: days += 30; /* fall through */
    case 10: days += 31; /* fall through */
    case 11: days += 30; /* fall through */
    case 12: days += 31;
    }
    return days;
}

/* With (result, n) on the stack: until n is 0, result = result * n (or + n) and n = n - 1; then leave result + n. */
static const int factorial_of_12[] = {
    PUSH, 1, PUSH, 12,
    DUPLICATE, JUMP_IF_ZERO, 16, SWAP, OVER, MULTIPLY, SWAP, PUSH, 1, SUBTRACT, JUMP, 4,
    ADD, STOP,
};

static const int minus_triangle_of_100[] = {
    PUSH, 0, PUSH, 100,
    DUPLICATE, JUMP_IF_ZERO, 16, SWAP, OVER, ADD, SWAP, PUSH, 1, SUBTRACT, JUMP, 4,
    ADD, NEGATE, STOP,
};

int main(void)
{
    printf("machine %ld %ld\n", run(factorial_of_12), run(minus_triangle_of_100));
    for (int shift = 0; shift <= 50; shift += 10)
        printf("1 << %d is a %s\n", shift, size_name(1L << shift));
    for (int month = 0; month <= 13; month++)
        printf("%d ", days_left(month));
    puts("days");
    return 0;
}
