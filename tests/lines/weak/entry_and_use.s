        .globl  main, never_defined
        .text
main:   call    never_defined
        ret
        .section .note.GNU-stack,"",@progbits
