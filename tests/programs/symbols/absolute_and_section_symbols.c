//# modes: few
//# linux: sections have names of ELF
// Absolute symbols and addresses computed by the assembler.
#include <stdint.h>
#include <stdio.h>
__asm__(".globl absolute\nabsolute = 0x1234\n");
__asm__(".section .rodata\n.p2align 3\n.globl between\nbetween: .quad 1,2,3\nend_between:\n.globl distance\ndistance: .quad end_between - between\n.text\n");
extern const char absolute[];
extern const uint64_t between[], distance;
int main(void) {
    uintptr_t value;
#ifdef __x86_64__
    __asm__("movabs $absolute, %0" : "=r"(value));
#else
    __asm__("movz %0, #:abs_g1:absolute\n movk %0, #:abs_g0_nc:absolute" : "=r"(value));
#endif
    printf("%lx %lu %lu\n", (unsigned long)value, (unsigned long)between[2], (unsigned long)distance);
    return 0;
}
