        .globl  pulled
        .section .note.GNU-stack,"",@progbits
