//# modes: one
// Section groups that are not COMDAT: every one is kept.
#include <stdio.h>
int a(void), b(void);
int main(void) {
    printf("%d %d\n", a(), b());
    return 0;
}
//--- a.S
    .section .text.a, "axG", %progbits, together
    .globl a
#ifdef __x86_64__
a:  movl a_number(%rip), %eax
#else
a:  adrp x0, a_number
    ldr w0, [x0, :lo12:a_number]
#endif
    ret
    .section .data.a, "awG", %progbits, together
a_number: .long 1
    .section .note.GNU-stack, "", %progbits
//--- b.S
    .section .text.b, "axG", %progbits, together
    .globl b
#ifdef __x86_64__
b:  movl b_number(%rip), %eax
#else
b:  adrp x0, b_number
    ldr w0, [x0, :lo12:b_number]
#endif
    ret
    .section .data.b, "awG", %progbits, together
b_number: .long 2
    .section .note.GNU-stack, "", %progbits
