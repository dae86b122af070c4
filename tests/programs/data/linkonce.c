//# modes: one pic nopie
// `.gnu.linkonce.*` sections, the older form of COMDAT: one of each name is kept, also against a
// COMDAT group of that signature.
#include <stdio.h>
int first(void), second(void), third(void);
int main(void) {
    printf("%d %d %d\n", first(), second(), third());
    return 0;
}
//--- a.S
    .section .gnu.linkonce.t.shared, "ax", %progbits
    .weak shared
#ifdef __x86_64__
shared: movl shared_number(%rip), %eax
#else
shared: adrp x0, shared_number
    ldr w0, [x0, :lo12:shared_number]
#endif
    ret
    .section .gnu.linkonce.d.shared_number, "aw", %progbits
    .weak shared_number
shared_number: .long 1
    .text
    .globl first
first:
#ifdef __x86_64__
    jmp shared
#else
    b shared
#endif
    .section .note.GNU-stack, "", %progbits
//--- b.S
    .section .gnu.linkonce.t.shared, "ax", %progbits
    .weak shared
#ifdef __x86_64__
shared: movl shared_number(%rip), %eax
#else
shared: adrp x0, shared_number
    ldr w0, [x0, :lo12:shared_number]
#endif
    ret
    .section .gnu.linkonce.d.shared_number, "aw", %progbits
    .weak shared_number
shared_number: .long 2
    .text
    .globl second
second:
#ifdef __x86_64__
    jmp shared
#else
    b shared
#endif
    .section .note.GNU-stack, "", %progbits
//--- c.S
    .section .text.shared, "axG", %progbits, shared, comdat
    .weak shared
#ifdef __x86_64__
shared: movl $3, %eax
#else
shared: mov w0, #3
#endif
    ret
    .text
    .globl third
third:
#ifdef __x86_64__
    jmp shared
#else
    b shared
#endif
    .section .note.GNU-stack, "", %progbits
