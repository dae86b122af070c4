## cpu: x86-64, languages/assembly_of_aarch64 is the other one
## modes: one
# A program in assembly: calls through the PLT and the GOT, local labels, data of several widths,
# and its own frame description, through which an exception could pass.
    .text
    .globl main
    .type main, @function
main:
    .cfi_startproc
    pushq %rbx
    .cfi_def_cfa_offset 16
    .cfi_offset %rbx, -16
    leaq text(%rip), %rdi
    call puts@PLT
    movq stdout@GOTPCREL(%rip), %rax
    movq (%rax), %rdi
    call *fflush@GOTPCREL(%rip)
    movq pointer(%rip), %rax
    movl (%rax), %ebx
    movslq relative(%rip), %rcx
    leaq relative(%rip), %rdx
    addq %rdx, %rcx
    addl (%rcx), %ebx
    movzbl byte(%rip), %edx
    addl %edx, %ebx
    movzwl word(%rip), %edx
    addl %edx, %ebx
    leaq format(%rip), %rdi
    movl %ebx, %esi
    movl $end - start, %edx
    xorl %eax, %eax
    call printf@PLT
    xorl %eax, %eax
    jmp 1f
    ud2
1:  popq %rbx
    .cfi_def_cfa_offset 8
    ret
    .cfi_endproc
    .size main, . - main
    .section .rodata
text: .asciz "assembly"
format: .asciz "%d %d\n"
    .data
start:
number: .long 1000
other: .long 200
pointer: .quad number
relative: .long other - .
byte: .byte 30
    .p2align 1
word: .word 4
end:
    .section .note.GNU-stack,"",@progbits
