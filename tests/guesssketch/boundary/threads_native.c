/* Opens the library that holds entry(), or calls it where it is linked in. */
#include <dlfcn.h>
#include <stdlib.h>

_Thread_local long extra = 100;
#ifdef LIBRARY
int main(void) {
    int (*entry)(void) = (int (*)(void))dlsym(dlopen(getenv("GUEST"), RTLD_NOW), "entry");
    return entry ? entry() : 99;
}
#else
int entry(void);
int main(void) { return entry(); }
#endif
