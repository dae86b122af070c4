        .globl  main
        .text
main:   xorl    %eax, %eax
        ret
        .section .debug_something, "", @progbits
        .quad   never_defined
        .section .note.GNU-stack,"",@progbits
