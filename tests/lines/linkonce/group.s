# As today's compilers do.
        .section .text.shared,"axG",@progbits,shared,comdat
        .globl  shared
        .type   shared, @function
shared: mov     $22, %eax
        ret
        .section .note.GNU-stack,"",@progbits
