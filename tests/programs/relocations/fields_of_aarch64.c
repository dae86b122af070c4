//# cpu: aarch64, these relocations are its own
//# modes: one pic nopie
// Pages and offsets in them for accesses of every width, literals, short and conditional branches, distances of
// every width, and the GOT in all the forms that an assembler has.
#include <stdint.h>
#include <stdio.h>
struct results {
    uint64_t byte, half, word, two_words, address, near, literal, got, got_page, got_literal, got_twice;
    unsigned __int128 four_words;
};
void loads(struct results *);
int branches(int);
extern const int64_t delta64;
extern const int32_t delta32, to_function;
extern const int16_t delta16;
extern char here[], end_of_here[];
_Alignas(16) uint64_t there[2] = {0x1122334455667788, 0x99aabbccddeeff00};
int function(void) { return 3; }
int main(void) {
    struct results r = {0};
    loads(&r);
    printf("%lx %lx %lx %lx\n", r.byte, r.half, r.word, r.two_words);
    printf("%lx %lx\n", (uint64_t)r.four_words, (uint64_t)(r.four_words >> 64));
    printf("%d %d %lx\n", r.address == (uint64_t)there, r.near == (uint64_t)here, r.literal);
    printf("%d %d %d\n", r.got == (uint64_t)there, r.got_page == (uint64_t)&stdout, r.got_literal == (uint64_t)there);
    // One page serves two loads, as compilers have it for the canary of a stack.
    printf("%d\n", r.got_twice == 0);
    printf("%d %d %d\n", branches(0), branches(1), branches(2));
    printf("%d %d %d\n", (char *)&delta64 + delta64 == (char *)there, (char *)&delta32 + delta32 == here, delta16);
    printf("%d\n", ((int (*)(void))((char *)&to_function + to_function))());
    return 0;
}
//--- fields.S
    .globl loads, branches, delta64, delta32, delta16, to_function, here, end_of_here
    .text
loads:
    adrp x1, there
    ldrb w2, [x1, #:lo12:there]
    str x2, [x0]
    ldrh w2, [x1, #:lo12:there]
    str x2, [x0, #8]
    ldr w2, [x1, #:lo12:there]
    str x2, [x0, #16]
    ldr x2, [x1, #:lo12:there]
    str x2, [x0, #24]
    ldr q0, [x1, #:lo12:there]
    str q0, [x0, #96]
    add x2, x1, #:lo12:there
    str x2, [x0, #32]
    adr x2, here
    str x2, [x0, #40]
    ldr x2, literal
    str x2, [x0, #48]
    adrp x2, :got:there
    ldr x2, [x2, #:got_lo12:there]
    str x2, [x0, #56]
    adrp x2, _GLOBAL_OFFSET_TABLE_
    ldr x2, [x2, #:gotpage_lo15:stdout]
    str x2, [x0, #64]
    ldr x2, :got:there
    str x2, [x0, #72]
    adrp x2, :got:there
    ldr x3, [x2, #:got_lo12:there]
    ldr x2, [x2, #:got_lo12:there]
    sub x2, x2, x3
    str x2, [x0, #80]
    ret
branches:
    cbz w0, is_zero
    cmp w0, #1
    b.eq is_one
    tbnz w0, #1, is_two
    b function
    .section .text.targets, "ax", %progbits
    .globl is_zero, is_one, is_two
is_zero:
    mov w0, #10
    ret
is_one:
    stp x29, x30, [sp, #-16]!
    bl function
    ldp x29, x30, [sp], #16
    add w0, w0, #20
    ret
is_two:
    mov w0, #30
    ret
    .p2align 3
    .globl literal
literal: .quad 0x123456789
    .section .rodata.distances, "a", %progbits
    .p2align 3
delta64: .quad there - .
delta32: .word here - .
    .globl next
delta16: .hword next - .
next: .hword 0
to_function: .word function - .
    .data
here: .quad 0
end_of_here:
    .section .note.GNU-stack, "", %progbits
