# References to numbers in all instructions that have a distance.
        .globl  main, here_it_is
        .text
main:
        push    %rbp
        cmpl    $1, %edi
        jle     1f                      # with an argument, what would crash is reached
        call    0
        call    0x12340000
        call    number
        call    number+16
        jne     0x12345678
        jmp     0x12345678
1:      lea     number(%rip), %rax
        cmp     $0x7ff00000, %rax
        jne     2f
        lea     number+24(%rip), %r12
        cmp     $0x7ff00018, %r12
        jne     2f
        lea     here_it_is(%rip), %rdi
        call    puts@PLT
        xor     %eax, %eax
        pop     %rbp
        ret
2:      mov     $1, %eax
        pop     %rbp
        ret
        .section .rodata
here_it_is:
        .string "all numbers were reached"
        .section .note.GNU-stack,"",@progbits
