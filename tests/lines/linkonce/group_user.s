        .section .text.shared,"axG",@progbits,shared,comdat
        .globl  shared
        .type   shared, @function
shared: mov     $44, %eax
        ret
        .text
        .globl  user
user:   jmp     shared
        .section .note.GNU-stack,"",@progbits
