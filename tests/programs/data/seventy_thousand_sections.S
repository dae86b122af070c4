## modes: one
# Seventy thousand sections: their number does not fit the header's 16 bits (`SHN_XINDEX`).
    .text
    .globl main
main:
    pushq %rbx
    leaq format(%rip), %rdi
    movl last_value(%rip), %esi
    movl first_value(%rip), %edx
    xorl %eax, %eax
    call printf@PLT
    xorl %eax, %eax
    popq %rbx
    ret
    .section .rodata.format,"a"
format: .asciz "%d %d\n"
    .altmacro
    .macro one n
    .section .data.s\n,"aw"
    .globl v\n
v\n: .long \n
    .endm
    .set i, 0
    .rept 70000
    one %i
    .set i, i + 1
    .endr
    .globl last_value, first_value
    .section .data.last,"aw"
last_value: .long 111
    .section .data.first,"aw"
first_value: .long 222
    .section .note.GNU-stack,"",@progbits
