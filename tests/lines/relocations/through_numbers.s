        .globl  through_numbers, call_number
        .text
through_numbers:
        xor     %eax, %eax
        cmpb    $7, number(%rip)        # an immediate behind the distance
        jne     1f
        movzbl  number(%rip), %eax
        addl    number(%rip), %eax
1:      ret
call_number:
        push    %rbp
        call    number+16
        pop     %rbp
        ret
        .section .note.GNU-stack,"",@progbits
