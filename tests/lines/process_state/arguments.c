// What the kernel shows of the arguments, and what constructors of libraries are passed.
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
int main(int argc, char **argv) {
    char text[4096];
    FILE *file = fopen("/proc/self/cmdline", "r");
    size_t size = fread(text, 1, sizeof text, file);
    fclose(file);
    size_t at = 0;
    int count = 0;
    for (; at < size; at += strlen(text + at) + 1, count++)
        if (strcmp(text + at, argv[count])) printf("%d: %s, not %s\n", count, text + at, argv[count]);
    printf("%d %d\n", argc, count);
    void *library = dlopen("./libconstructor.so", RTLD_NOW);
    return library == 0;
}
