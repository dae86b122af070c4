//# flags: -fno-builtin
//# modes: few
//# linux: dlvsym is of glibc
// RTLD_NEXT finds what libraries have behind the program's own definition.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static int calls;
size_t strlen(const char *text) {
    static size_t (*real)(const char *);
    if (!real) real = (size_t (*)(const char *))dlsym(RTLD_NEXT, "strlen");
    calls++;
    return real(text);
}
void *malloc(size_t size) {
    static void *(*real)(size_t);
    if (!real) real = (void *(*)(size_t))dlsym(RTLD_NEXT, "malloc");
    calls++;
    return real(size);
}
int only_here(void) { return 1; }
int main(void) {
    const char *volatile text = "four";
    printf("%zu\n", strlen(text));
    void *volatile memory = malloc(10);
    free(memory);
    printf("%d\n", calls >= 2);
    printf("%d\n", dlsym(RTLD_NEXT, "puts") == (void *)puts);
    printf("%d\n", dlvsym(RTLD_NEXT, "puts", "GLIBC_2.2.5") != 0);
    dlerror();
    printf("%d %d\n", dlsym(RTLD_NEXT, "only_here") != 0, dlerror() != 0);
    printf("%d %d\n", dlvsym(RTLD_NEXT, "puts", "NO_SUCH_VERSION") != 0, dlerror() != 0);
    printf("%d\n", dlsym(RTLD_DEFAULT, "free") == (void *)free);
    return 0;
}
