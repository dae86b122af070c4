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
    .section .gnu.linkonce.t.shared, "ax", @progbits
    .weak shared
shared: movl shared_number(%rip), %eax
    ret
    .section .gnu.linkonce.d.shared_number, "aw", @progbits
    .weak shared_number
shared_number: .long 1
    .text
    .globl first
first:
    jmp shared
    .section .note.GNU-stack, "", @progbits
//--- b.S
    .section .gnu.linkonce.t.shared, "ax", @progbits
    .weak shared
shared: movl shared_number(%rip), %eax
    ret
    .section .gnu.linkonce.d.shared_number, "aw", @progbits
    .weak shared_number
shared_number: .long 2
    .text
    .globl second
second:
    jmp shared
    .section .note.GNU-stack, "", @progbits
//--- c.S
    .section .text.shared, "axG", @progbits, shared, comdat
    .weak shared
shared: movl $3, %eax
    ret
    .text
    .globl third
third:
    jmp shared
    .section .note.GNU-stack, "", @progbits
