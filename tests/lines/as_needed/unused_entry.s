        .globl  wf
        .section .note.GNU-stack,"",@progbits
