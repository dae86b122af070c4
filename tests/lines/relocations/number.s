        .globl  number
number = 0x7ff00000
        .section .note.GNU-stack,"",@progbits
