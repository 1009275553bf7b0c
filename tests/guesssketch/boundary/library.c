/* Library calls whose numbers, structs or arguments differ between the machines. */
#define _GNU_SOURCE
#include <errno.h>
#include <error.h>
#include <fenv.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static struct {
    pthread_mutexattr_t kind;
    int guard;
    pthread_mutex_t mutex;
    long guard2;
} locks;

static void events(void) {
    int queue = epoll_create1(0), pair[2];
    struct epoll_event got[2], wanted = {EPOLLIN, {.u64 = 0x123456789abcdef0}};
    memset(got, 0x11, sizeof got);
    if (pipe(pair) || epoll_ctl(queue, EPOLL_CTL_ADD, pair[0], &wanted) || write(pair[1], "x", 1) != 1) return;
    int n = epoll_wait(queue, got, 2, 100);
    printf("%d %lx %x\n", n, (long)got[0].data.u64, got[1].events);
}

int main(void) {
    events();
    memset(&locks, 0x5a, sizeof locks);
    pthread_mutexattr_init(&locks.kind);
    pthread_mutexattr_settype(&locks.kind, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&locks.mutex, &locks.kind);
    int first = pthread_mutex_lock(&locks.mutex), second = pthread_mutex_lock(&locks.mutex);
    printf("%d %d %x %lx\n", first, second, locks.guard, locks.guard2);
    fesetround(FE_UPWARD);
    printf("%d\n", fegetround() == FE_UPWARD);
    fesetround(FE_TONEAREST);
    feraiseexcept(FE_OVERFLOW);
    printf("%d\n", fetestexcept(FE_OVERFLOW | FE_DIVBYZERO) == FE_OVERFLOW);
    printf("%d %ld\n", syscall(SYS_getpid) == getpid(), syscall(SYS_close, 12345));
    fflush(stdout);
    dup2(1, 2);
    program_invocation_name = "guest";
    error_at_line(0, ENOENT, "file.c", 42, "%g %d %s %ld %g", 1.5, 2, "x", 5000000000, 2.5);
    error(0, 0, "%d %g %d %g %d", 1, 2.5, 3, 4.5, 5);
    if (fork() == 0) execl("/bin/echo", "echo", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", (char *)0);
    wait(0);
    return 0;
}
