//# linux: sections have names of ELF
// Fragments of code in `.init` and `.fini` are concatenated into functions.
#include <stdio.h>
void from_init(void) { puts("from .init"); }
void from_fini(void) { puts("from .fini"); }
#ifdef __x86_64__
__asm__(
    ".section .init,\"ax\",@progbits\n call from_init@PLT\n"
    ".section .fini,\"ax\",@progbits\n call from_fini@PLT\n.text\n");
#else
__asm__(
    ".section .init,\"ax\",%progbits\n bl from_init\n"
    ".section .fini,\"ax\",%progbits\n bl from_fini\n.text\n");
#endif
__attribute__((constructor)) static void construct(void) { puts("constructor"); }
__attribute__((destructor)) static void destruct(void) { puts("destructor"); }
int main(void) {
    puts("main");
    return 0;
}
