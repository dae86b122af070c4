// A program starts without an error (C, 7.5): constructors of libraries, its own, and `main`.
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
int before = -1;
static int in_constructor = -1;
__attribute__((constructor)) static void constructor(void) { in_constructor = errno; }
int library_error(void) __attribute__((weak));
int main(void) {
    int error = errno;
    const char *message = dlerror();
    printf("%d %d %s\n", in_constructor, error, message ? message : "-");
    if (library_error) printf("%d\n", library_error());
    return 0;
}
