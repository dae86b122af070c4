//# cpu: aarch64, whose branches reach 128 MiB
//# compilers: gcc
//# modes: one
// More code than a branch reaches: calls from its start to its end, back, and past the end of a huge section.
#include <stdio.h>
int first(int), last(int), middle(int);
int main(void) {
    printf("%d %d %d\n", first(1), middle(2), last(3));
    return 0;
}
//--- far.S
    .macro function name, other
    .globl \name
    .type \name, %function
\name:
    .cfi_startproc
    cbz w0, 1f
    stp x29, x30, [sp, #-16]!
    .cfi_def_cfa_offset 16
    .cfi_offset x29, -16
    .cfi_offset x30, -8
    sub w0, w0, #1
    bl \other
    add w0, w0, #10
    ldp x29, x30, [sp], #16
    .cfi_def_cfa_offset 0
    ret
1:  mov w0, #1
    ret
    .cfi_endproc
    .endm
    .section .text.one, "ax", %progbits
    function first, last
    .skip 100 << 20
    .section .text.two, "ax", %progbits
    function middle, first
    .skip 100 << 20
    .section .text.three, "ax", %progbits
    function last, middle
    .section .note.GNU-stack, "", %progbits
