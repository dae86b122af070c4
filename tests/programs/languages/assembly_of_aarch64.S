## modes: one
## cpu: aarch64, languages/assembly is the other one
// A program in assembly: calls, loads through the GOT, local labels, data of several widths, and its own
// frame description, through which an exception could pass.
    .text
    .globl main
    .type main, %function
main:
    .cfi_startproc
    stp x29, x30, [sp, #-32]!
    .cfi_def_cfa_offset 32
    .cfi_offset x29, -32
    .cfi_offset x30, -24
    str x19, [sp, #16]
    .cfi_offset x19, -16
    adrp x0, text
    add x0, x0, :lo12:text
    bl puts
    adrp x0, :got:stdout
    ldr x0, [x0, :got_lo12:stdout]
    ldr x0, [x0]
    adrp x8, :got:fflush
    ldr x8, [x8, :got_lo12:fflush]
    blr x8
    adrp x8, pointer
    ldr x8, [x8, :lo12:pointer]
    ldr w19, [x8]
    adrp x8, relative
    add x8, x8, :lo12:relative
    ldrsw x9, [x8]
    ldr w9, [x8, x9]
    add w19, w19, w9
    adrp x8, byte
    ldrb w9, [x8, :lo12:byte]
    add w19, w19, w9
    adrp x8, word
    ldrh w9, [x8, :lo12:word]
    add w19, w19, w9
    adr x0, format
    mov w1, w19
    mov w2, #end - start
    bl printf
    mov w0, wzr
    cbz w0, 1f
    brk #1
1:  ldr x19, [sp, #16]
    .cfi_restore x19
    ldp x29, x30, [sp], #32
    .cfi_restore x30
    .cfi_restore x29
    .cfi_def_cfa_offset 0
    ret
    .cfi_endproc
    .size main, . - main
format: .asciz "%d %d\n"
    .section .rodata
text: .asciz "assembly"
    .data
    .p2align 3
start:
number: .long 1000
other: .long 200
pointer: .quad number
relative: .long other - .
byte: .byte 30
    .p2align 1
word: .hword 4
end:
    .section .note.GNU-stack,"",%progbits
