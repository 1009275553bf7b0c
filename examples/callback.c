/* Callbacks: libc's qsort and bsearch call translated comparison functions, which call back into libc; atexit too. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int comparisons;

static int by_value(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;
    comparisons++;
    return (x > y) - (x < y);
}

static int by_length_then_text(const void *a, const void *b)
{
    const char *x = *(const char *const *)a, *y = *(const char *const *)b;
    size_t n = strlen(x), m = strlen(y);
    return n != m ? (n < m ? -1 : 1) : strcmp(x, y);
}

static int downwards(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

static void farewell(void)
{
    puts("farewell, called by exit");
}

int main(void)
{
    atexit(farewell);

    int numbers[50];
    unsigned seed = 2024;
    for (int i = 0; i < 50; i++) {
        seed = seed * 1664525u + 1013904223u;
        numbers[i] = (int)(seed >> 8) % 1000 - 500;
    }
    qsort(numbers, 50, sizeof *numbers, by_value);
    for (int i = 0; i < 50; i += 7)
        printf("%d ", numbers[i]);
    puts(comparisons > 0 ? "sorted" : "never compared");

    int key = numbers[33];
    int *found = bsearch(&key, numbers, 50, sizeof *numbers, by_value);
    printf("found %d\n", found != NULL && *found == key);

    const char *words[] = {"pear", "fig", "banana", "apple", "kiwi", "date", "plum"};
    qsort(words, 7, sizeof *words, by_length_then_text);
    for (int i = 0; i < 7; i++)
        printf("%s%c", words[i], i < 6 ? ' ' : '\n');

    double values[] = {2.5, -1.0, 1e10, 0.125, 3.0};
    qsort(values, 5, sizeof *values, downwards);
    for (int i = 0; i < 5; i++)
        printf("%g%c", values[i], i < 4 ? ' ' : '\n');
    return 0;
}
