        .globl  user
user:   jmp     shared
        .section .note.GNU-stack,"",@progbits
