//# cpu: aarch64, these relocations are its own
//# modes: nopie
// Addresses, distances and numbers in pieces of 16 bits: `movz`, `movn`, `movk`, with and without a sign.
#include <stdint.h>
#include <stdio.h>
uint64_t absolute(void), distance(void), small(void), middle(void), large(void), negative(void), wide_negative(void);
uint64_t far_distance(void), far_negative(void);
extern char here[];
int main(void) {
    printf("%d %d\n", absolute() == (uint64_t)here, distance() == (uint64_t)here);
    printf("%lx %lx %lx\n", small(), middle(), large());
    printf("%ld %ld\n", (long)negative(), (long)wide_negative());
    printf("%d %d\n", far_distance() == (uint64_t)here, far_negative() == (uint64_t)here);
    return 0;
}
//--- moves.S
    .globl absolute, distance, small, middle, large, negative, wide_negative, far_distance, far_negative, here
    .text
absolute:
    movz x0, #:abs_g3:here
    movk x0, #:abs_g2_nc:here
    movk x0, #:abs_g1_nc:here
    movk x0, #:abs_g0_nc:here
    ret
distance:
    adr x1, 1f
1:  movz x0, #:prel_g3:here
    movk x0, #:prel_g2_nc:here + 4
    movk x0, #:prel_g1_nc:here + 8
    movk x0, #:prel_g0_nc:here + 12
    add x0, x0, x1
    ret
small:
    movz x0, #:abs_g0:small_number
    ret
middle:
    movz x0, #:abs_g1:middle_number
    movk x0, #:abs_g0_nc:middle_number
    ret
large:
    movz x0, #:abs_g2:large_number
    movk x0, #:abs_g1_nc:large_number
    movk x0, #:abs_g0_nc:large_number
    ret
negative:
    movz x0, #:abs_g0_s:negative_number
    movz x1, #:abs_g0_s:small_number
    movz x2, #:abs_g1_s:negative_number
    movk x2, #:abs_g0_nc:negative_number
    cmp x0, x2
    cset x2, ne
    add x0, x0, x2
    ret
wide_negative:
    movz x0, #:abs_g2_s:wide_number
    movk x0, #:abs_g1_nc:wide_number
    movk x0, #:abs_g0_nc:wide_number
    ret
far_distance:
    adr x1, 2f
2:  movz x0, #:prel_g2:here
    movk x0, #:prel_g1_nc:here + 4
    movk x0, #:prel_g0_nc:here + 8
    add x0, x0, x1
    ret
    .data
here: .quad 0
    .section .text.behind, "ax", %progbits
far_negative:
    adr x1, 3f
3:  movz x0, #:prel_g1:here
    movk x0, #:prel_g0_nc:here + 4
    add x0, x0, x1
    ret
    .section .note.GNU-stack, "", %progbits
//--- numbers.S
    .globl small_number, middle_number, large_number, negative_number, wide_number
    .set small_number, 0x1234
    .set middle_number, 0x89abcdef
    .set large_number, 0x123456789abc
    .set negative_number, -5
    .set wide_number, -0x123456789a
    .section .note.GNU-stack, "", %progbits
