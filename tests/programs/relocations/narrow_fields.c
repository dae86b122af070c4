//# cpu: x86-64, relocations of 8 bits are its own
//# modes: nopie
// Fields of 8 and 16 bits, absolute and PC-relative: in data, in short jumps, and as numbers that
// another object defines.
#include <stdint.h>
#include <stdio.h>
extern const int8_t byte_of_small, byte_delta;
extern const int16_t word_of_small, word_delta;
extern const char near_target[];
int jump_if_zero(long), short_jump(void);
int main(void) {
    printf("%d %d\n", byte_of_small, word_of_small);
    printf("%d %d\n", (const char *)&byte_delta + byte_delta == near_target,
           (const char *)&word_delta + word_delta == near_target + 2);
    printf("%d %d %d\n", jump_if_zero(0), jump_if_zero(1), short_jump());
    return 0;
}
//--- fields.S
    .section .rodata.narrow, "a", @progbits
    .globl byte_of_small, word_of_small, byte_delta, word_delta, near_target
byte_of_small: .byte small_number
byte_delta: .byte near_target - .
word_of_small: .short larger_number
word_delta: .short near_target + 2 - .
    .section .rodata.narrow2, "a", @progbits
near_target: .short 0
    .text
    .globl jump_if_zero, short_jump
jump_if_zero:
    movq %rdi, %rcx
    jrcxz is_zero
    movl $1, %eax
    ret
short_jump:
    .byte 0xeb
    .byte is_short - . - 1
    ud2
    .section .text.narrow, "ax", @progbits
is_zero:
    movl $100, %eax
    ret
is_short:
    movl $7, %eax
    ret
    .section .note.GNU-stack, "", @progbits
//--- numbers.S
    .globl small_number, larger_number
    .set small_number, 0x7f
    .set larger_number, -300
    .section .note.GNU-stack, "", @progbits
