        .section .data.number,"awG",@progbits,number,comdat
        .globl  number
        .type   number, @object
number: .long   6
        .size   number, 4
        .text
        .globl  user
user:   mov     number(%rip), %eax
        ret
        .section .note.GNU-stack,"",@progbits
