/* Variadic arguments of an x86-64 call, put into the 8-byte slots in argument order that RISC-V's va_list points into.
 *
 * x86-64 keeps integers and floats apart (System V psABI 3.5.7), so the order comes from the format (C17 7.21.6.1,
 * 7.21.6.2, POSIX fprintf for %n$). No library is called. What has no meaning in slots (long double) or does not fit
 * stops the program. Made into riscv64_varargs.s by `python -m guesssketch.runtime`.
 */

typedef unsigned long u64;

struct list {
    unsigned gp, fp;
    const u64 *overflow;
    const char *save;
};

enum { SLOTS = 128, WIDE = 1, SCANF = 2 };

static unsigned at(const void *format, u64 index, int wide) {
    return wide ? ((const unsigned *)format)[index] : ((const unsigned char *)format)[index];
}

static u64 next(struct list *from, int is_float) {
    if (is_float && from->fp < 176) {
        u64 value = *(const u64 *)(from->save + from->fp);
        from->fp += 16;
        return value;
    }
    if (!is_float && from->gp < 48) {
        u64 value = *(const u64 *)(from->save + from->gp);
        from->gp += 8;
        return value;
    }
    return *from->overflow++;
}

static int is_digit(unsigned c) {
    return c - '0' < 10;
}

static void mark(unsigned char *floats, u64 *count, u64 index, int is_float) {
    if (index >= SLOTS)
        __builtin_trap();
    floats[index] = (unsigned char)is_float;
    if (index >= *count)
        *count = index + 1;
}

/* A number from `*i` on, 0 if there is none. */
static u64 number(const void *format, u64 *i, int wide) {
    u64 value = 0;
    while (is_digit(at(format, *i, wide)) && value < SLOTS)
        value = 10 * value + at(format, (*i)++, wide) - '0';
    return value;
}

/* A `*` at `*i - 1` takes an argument: the numbered one in `*n$`, else the next. */
static void star(const void *format, u64 *i, int wide, unsigned char *floats, u64 *count, u64 *order) {
    u64 start = *i, position = number(format, i, wide);
    if (position && at(format, *i, wide) == '$') {
        ++*i;
        mark(floats, count, position - 1, 0);
    } else {
        *i = start;
        mark(floats, count, (*order)++, 0);
    }
}

void gs_varargs(u64 *slots, const struct list *list, const void *format, int kind) {
    int wide = kind & WIDE, scanf = kind & SCANF;
    unsigned char floats[SLOTS];
    u64 count = 0, order = 0;
    for (u64 i = 0; i < SLOTS; i++)
        floats[i] = 0;
    for (u64 i = 0; format && at(format, i, wide);) {
        if (at(format, i++, wide) != '%')
            continue;
        u64 start = i, position = number(format, &i, wide);
        int skip = 0, is_long_double = 0;
        if (position && at(format, i, wide) == '$')
            i++;
        else
            position = 0, i = start;
        for (;; i++) { /* flags, width, precision, length: none of these letters is a conversion */
            unsigned c = at(format, i, wide);
            if (c == '*') {
                i++;
                if (scanf)
                    skip = 1;
                else
                    star(format, &i, wide, floats, &count, &order);
                i--;
            } else if (c == 'L') {
                is_long_double = 1;
            } else if (!is_digit(c) && c != '-' && c != '+' && c != ' ' && c != '#' && c != '\'' && c != 'I' && c != '.' && c != 'h'
                       && c != 'l' && c != 'j' && c != 'z' && c != 'Z' && c != 't' && c != 'q' && !(scanf && c == 'm')) {
                break;
            }
        }
        unsigned conversion = at(format, i, wide);
        if (!conversion)
            break;
        i++;
        if (conversion == '%' || (!scanf && conversion == 'm'))
            continue;
        if (scanf && conversion == '[') {
            if (at(format, i, wide) == '^')
                i++;
            if (at(format, i, wide) == ']')
                i++;
            while (at(format, i, wide) && at(format, i, wide) != ']')
                i++;
        }
        unsigned lower = conversion | 0x20;
        int is_float = lower == 'a' || (lower >= 'e' && lower <= 'g');
        if (is_float && is_long_double)
            __builtin_trap();
        if (!skip)
            mark(floats, &count, position ? position - 1 : order++, is_float && !scanf);
    }
    struct list from = *list;
    for (u64 i = 0; i < count; i++)
        slots[i] = next(&from, floats[i]);
}
