//# linux: sections have names of ELF
// The sections of old compilers: `.ctors` runs backwards, priorities are complements.
#include <stdio.h>
static void first(void) { puts("ctors, first in the section"); }
static void second(void) { puts("ctors, second in the section"); }
static void early(void) { puts("ctors with a priority"); }
static void last(void) { puts("dtors"); }
__asm__(
    ".section .ctors,\"aw\",%progbits\n.p2align 3\n.quad first, second\n"
    ".section .ctors.65000,\"aw\",%progbits\n.p2align 3\n.quad early\n"
    ".section .dtors,\"aw\",%progbits\n.p2align 3\n.quad last\n.text\n");
__attribute__((constructor)) static void modern(void) { puts("init_array"); }
int main(void) {
    // Keep the functions: the assembly refers to them by name.
    void (*volatile keep[])(void) = {first, second, early, last};
    puts("main");
    return keep[0] == 0;
}
