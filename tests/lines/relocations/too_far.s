        .globl  main
main:   movl    number(%rip), %eax
        ret
number = 0x7000000000000
        .section .note.GNU-stack,"",@progbits
