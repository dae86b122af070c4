//# flags: -fPIC
//# link: main.o absolute.o
//# native: -no-pie
//# modes: default
// PIC and non-PIC objects in one program.
#include <stdio.h>
int absolute(int);
extern int data;
int main(void) {
    printf("%d %d\n", absolute(3), data);
    return 0;
}
//--- absolute.S
    .text
    .globl absolute
absolute:
#ifdef __x86_64__
    movl $data, %eax
    addl data, %edi
    movl %edi, (%rax)
    movl table(, %rdi, 4), %eax
    ret
#else
    movz x1, #:abs_g3:data
    movk x1, #:abs_g2_nc:data
    movk x1, #:abs_g1_nc:data
    movk x1, #:abs_g0_nc:data
    ldr w2, [x1]
    add w0, w0, w2
    str w0, [x1]
    adrp x1, table
    add x1, x1, :lo12:table
    ldr w0, [x1, w0, sxtw #2]
    ret
#endif
    .data
    .globl data
data: .long 1
table: .long 0, 10, 20, 30, 40, 50
    .section .note.GNU-stack,"",@progbits
