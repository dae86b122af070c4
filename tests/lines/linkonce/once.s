# As old compilers wrote an inline function.
        .section .gnu.linkonce.t.shared,"ax",@progbits
        .globl  shared
        .type   shared, @function
shared: mov     table(%rip), %eax
        ret
        .section .gnu.linkonce.r.shared,"a",@progbits
table:  .long   11
        .section .note.GNU-stack,"",@progbits
