/* A start of its own, before the C library's. */
#include <stdio.h>

int __libc_start_main(int (*main)(int, char **, char **), int, char **, void *, void *, void *, void *);

/* What start-up files have. */
void _init(void) {}
void _fini(void) {}
void _dl_relocate_static_pie(void) {}

int main(int argc, char **argv, char **environment) {
    (void)argv;
    (void)environment;
    printf("main %d\n", argc);
    return 6;
}

void begin(long *stack) {
    __libc_start_main(main, (int)*stack, (char **)(stack + 1), 0, 0, 0, stack);
    __builtin_trap();
}

__asm__(".globl _start\n_start:\n xor %ebp,%ebp\n mov %rsp,%rdi\n and $-16,%rsp\n call begin\n hlt\n");
