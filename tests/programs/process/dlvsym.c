//# modes: few
//# native: -rdynamic
//# jit: -rdynamic
// `dlvsym` finds versions of libc's functions, and none of a program's own.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#ifdef __x86_64__
#define OLD "GLIBC_2.2.5"
#define CURRENT "GLIBC_2.14"
#else
#define OLD "GLIBC_2.17"
#define CURRENT OLD
#endif
int own(void) { return 1; }
int main(void) {
    void *(*old)(void *, const void *, size_t) = dlvsym(RTLD_DEFAULT, "memcpy", OLD);
    void *(*current)(void *, const void *, size_t) = dlvsym(RTLD_DEFAULT, "memcpy", CURRENT);
    char text[6] = "";
    old(text, "hello", 6);
    printf("%s %d %d\n", text, old != 0, current != 0);
    printf("%d %d\n", dlvsym(RTLD_DEFAULT, "memcpy", "GLIBC_99") == 0, dlsym(RTLD_DEFAULT, "own") == (void *)own);
    return 0;
}
