//# native: -rdynamic
//# jit: -rdynamic
//# modes: nopie-O2
// Where code refers to a library's function by a 32-bit address, the program has a stub that stands
// for the function everywhere, for dlsym too.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
int (*volatile pointer)(const char *) = puts;
int main(void) {
    printf("%d\n", dlsym(RTLD_DEFAULT, "puts") == (void *)puts);
    printf("%d\n", pointer == puts);
    return 0;
}
