/* A program of its own start that uses the C library: constructors are its own affair. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
__attribute__((constructor)) static void constructed(void) { puts("constructed"); }
__attribute__((used)) void begin(long *stack) {
    int argc = (int)stack[0];
    char **argv = (char **)(stack + 1);
    for (int i = 1; i < argc; i++) printf("%s\n", argv[i]);
    printf("%s\n", getenv("PLAYER") ? getenv("PLAYER") : "nobody");
    fflush(stdout);
    _exit(argc);
}
__asm__(".globl _start\n_start: xor %ebp, %ebp\n mov %rsp, %rdi\n and $-16, %rsp\n call begin\n hlt\n");
