        .section .gnu.linkonce.d.number,"aw",@progbits
        .globl  number
        .type   number, @object
number: .long   5
        .size   number, 4
        .text
        .globl  shared
shared: mov     number(%rip), %eax
        ret
        .section .note.GNU-stack,"",@progbits
