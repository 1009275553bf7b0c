/* Library functions called through pointers, whose types the call does not show: open's flags and struct stat are converted,
   floats boxed, variadic arguments put in order. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef void (*any)(void);
static const any system_calls[] = {(any)open, (any)fstat, (any)lseek, (any)close};
static float (*const singles[])(float) = {sinf, fabsf};
static int (*volatile print)(const char *, ...) = printf;
static div_t (*volatile divide)(int, int) = div;
static int (*volatile compare)(const char *, const char *) = strcmp;

static int order(const void *a, const void *b) { return compare(*(char **)a, *(char **)b); }

int main(void) {
    char path[] = "/tmp/wallXXXXXX";
    close(mkstemp(path));
    int fd = ((int (*)(const char *, int, ...))system_calls[0])(path, O_RDWR | O_NOFOLLOW);
    struct stat status;
    if (write(fd, "hello", 5) != 5 || ((int (*)(int, struct stat *))system_calls[1])(fd, &status)) return 1;
    long end = ((long (*)(int, long, int))system_calls[2])(fd, 3000000000, SEEK_SET);
    ((int (*)(int))system_calls[3])(fd);
    print("%ld %o %g %ld\n", (long)status.st_size, (unsigned)status.st_mode, 1.5, end);
    print("%d\n", ((int (*)(const char *, int, ...))system_calls[0])(path, O_RDONLY | O_DIRECTORY));
    unlink(path);
    div_t q = divide(17, 5);
    print("%d %g %d %g %s\n", q.quot, singles[0](0.5f), q.rem, singles[1](-2.5f), "end");
    char *words[] = {"pear", "apple", "fig"};
    qsort(words, 3, sizeof *words, order);
    print("%s %d %d\n", words[0], print == printf, system_calls[3] == (any)close);
    return 0;
}
