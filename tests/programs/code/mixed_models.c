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
    movl $data, %eax
    addl data, %edi
    movl %edi, (%rax)
    movl table(, %rdi, 4), %eax
    ret
    .data
    .globl data
data: .long 1
table: .long 0, 10, 20, 30, 40, 50
    .section .note.GNU-stack,"",@progbits
