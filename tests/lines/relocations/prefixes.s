# Prefixes on lines of their own, as compilers write them in front of calls that linkers may change.
        .globl  main
        .text
main:   push    %rbx
        .byte   0x66
        rex64
        call    *here@GOTPCREL(%rip)
        rex64
        call    *here@GOTPCREL(%rip)
        notrack call *here@GOTPCREL(%rip)
        bnd call *here@GOTPCREL(%rip)
        mov     $0x48000000, %ebx       # ends with the byte of a REX prefix
        call    *here@GOTPCREL(%rip)
        mov     $0x66000000, %ebx       # and of data16
        call    *here@GOTPCREL(%rip)
        mov     $0x67000000, %ebx
        mov     here@GOTPCREL(%rip), %rax
        call    *%rax
        .byte   0x66
        rex64
        call    *puts@GOTPCREL(%rip)
        xor     %eax, %eax
        pop     %rbx
        ret
        .type   here, @function
here:   lea     text(%rip), %rdi
        sub     $8, %rsp
        call    *puts@GOTPCREL(%rip)
        add     $8, %rsp
        lea     text(%rip), %rdi
        ret
        .section .rodata
text:   .string "here"
        .section .note.GNU-stack,"",@progbits
