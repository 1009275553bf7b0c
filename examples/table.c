/* Function pointers: a table of operations, pointers as arguments and results, a method table, an indirect tail call. */
#include <stdio.h>
#include <string.h>

typedef double operation(double, double);

static double plus(double a, double b) { return a + b; }
static double minus(double a, double b) { return a - b; }
static double times(double a, double b) { return a * b; }
static double over(double a, double b) { return a / b; }

static const struct { char sign; operation *apply; } operations[] = {{'+', plus}, {'-', minus}, {'*', times}, {'/', over}};

static operation *find(char sign)
{
    for (unsigned i = 0; i < sizeof operations / sizeof *operations; i++)
        if (operations[i].sign == sign)
            return operations[i].apply;
    return NULL;
}

static double evaluate(const char *expression)
{
    double stack[8];
    int top = 0;
    for (const char *p = expression; *p; p++) {
        operation *op = find(*p);
        if (op) {
            top--;
            stack[top - 1] = op(stack[top - 1], stack[top]);
        } else if (*p >= '0' && *p <= '9')
            stack[top++] = *p - '0';
    }
    return stack[0];
}

struct shape;
struct methods {
    const char *name;
    int (*area)(const struct shape *);
    int (*edges)(const struct shape *, int, int, int, int, int, int, int);
};
struct shape { const struct methods *methods; int width, height; };

static int rectangle_area(const struct shape *s) { return s->width * s->height; }
static int triangle_area(const struct shape *s) { return s->width * s->height / 2; }
static int many(const struct shape *s, int a, int b, int c, int d, int e, int f, int g)
{
    return s->width + a - b + c - d + e * f - g;
}

static const struct methods rectangle = {"rectangle", rectangle_area, many}, triangle = {"triangle", triangle_area, many};

__attribute__((noinline)) static int area(const struct shape *s)
{
    return s->methods->area(s);
}

static int map(int (*f)(int), int n, int x)
{
    while (n-- > 0)
        x = f(x);
    return x;
}

static int collatz(int x) { return x & 1 ? 3 * x + 1 : x / 2; }

int main(void)
{
    printf("%g %g\n", evaluate("12+3*4-"), evaluate("98*7/65+-"));
    struct shape shapes[] = {{&rectangle, 3, 4}, {&triangle, 5, 6}};
    for (int i = 0; i < 2; i++)
        printf("%s %d %d\n", shapes[i].methods->name, area(&shapes[i]), shapes[i].methods->edges(&shapes[i], 1, 2, 3, 4, 5, 6, i));
    printf("%d\n", map(collatz, 20, 27));
    size_t (*length)(const char *) = strlen;
    printf("%zu\n", length("through a pointer into libc"));
    return 0;
}
