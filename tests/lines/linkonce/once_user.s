        .section .gnu.linkonce.t.shared,"ax",@progbits
        .globl  shared
        .type   shared, @function
shared: mov     table(%rip), %eax
        ret
        .section .gnu.linkonce.r.shared,"a",@progbits
table:  .long   33
        .text
        .globl  user
user:   jmp     shared
        .section .note.GNU-stack,"",@progbits
