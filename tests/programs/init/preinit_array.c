//# modes: few
// `.preinit_array` runs before every constructor, those of the program's libraries included.
//# shared: libearly.so = early.c
//# args: alpha
#include <stdio.h>
int library_constructed(void);
static int seen = -1;
static void preinit(int argc, char **argv, char **environment) {
    seen = library_constructed() * 10 + (argc == 2 && argv[1][0] == 'a' && !argv[2] && environment);
}
__attribute__((section(".preinit_array"), used)) static void (*entry)(int, char **, char **) = preinit;
__attribute__((constructor)) static void construct(void) { printf("constructor sees %d\n", seen); }
int main(void) {
    printf("%d %d\n", seen, library_constructed());
    return 0;
}
//--- early.c
static int constructed;
__attribute__((constructor)) static void construct(void) { constructed = 1; }
int library_constructed(void) { return constructed; }
