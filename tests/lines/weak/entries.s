# Names that nothing refers to.
        .globl  main, never_defined, neither
        .weak   nor_this
        .text
main:   xorl    %eax, %eax
        ret
        .section .note.GNU-stack,"",@progbits
