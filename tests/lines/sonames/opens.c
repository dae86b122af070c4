/* Opens a library by its name, to be found where the program says. */
#include <dlfcn.h>
#include <stdio.h>

int main(void) {
    void *handle = dlopen("libw.so.1", RTLD_NOW);
    int (*which)(void) = handle ? (int (*)(void))dlsym(handle, "which") : 0;
    printf("%d\n", which ? which() : -1);
    return 0;
}
