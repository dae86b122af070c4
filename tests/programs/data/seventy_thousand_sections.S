## modes: one
# Seventy thousand sections: their number does not fit the header's 16 bits (`SHN_XINDEX`).
    .text
    .globl main
main:
#ifdef __x86_64__
    pushq %rbx
    leaq format(%rip), %rdi
    movl last_value(%rip), %esi
    movl first_value(%rip), %edx
    xorl %eax, %eax
    call printf@PLT
    xorl %eax, %eax
    popq %rbx
    ret
#else
    stp x29, x30, [sp, -16]!
    adrp x0, format
    add x0, x0, :lo12:format
    adrp x1, last_value
    ldr w1, [x1, :lo12:last_value]
    adrp x2, first_value
    ldr w2, [x2, :lo12:first_value]
    bl printf
    mov w0, #0
    ldp x29, x30, [sp], 16
    ret
#endif
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
    .section .note.GNU-stack,"",%progbits
