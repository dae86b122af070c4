/* What crt1.o does. */
#include <stdio.h>
#include <stdlib.h>
__attribute__((constructor)) static void constructed(void) { puts("constructed"); }
__attribute__((destructor)) static void destroyed(void) { puts("destroyed"); }
/* crtbegin.o has it, and it is not linked. */
__attribute__((visibility("hidden"), weak)) void *__dso_handle = &__dso_handle;
static void at_exit(void) { puts("at exit"); }
int main(int argc, char **argv) {
    atexit(at_exit);
    printf("%d %s\n", argc, argc > 1 ? argv[1] : "none");
    return argc + 10;
}
__asm__(".globl _start\n_start: xor %ebp, %ebp\n mov %rdx, %r9\n pop %rsi\n mov %rsp, %rdx\n and $-16, %rsp\n"
        " push %rax\n push %rsp\n xor %r8d, %r8d\n xor %ecx, %ecx\n lea main(%rip), %rdi\n"
        " call *__libc_start_main@GOTPCREL(%rip)\n hlt\n");
