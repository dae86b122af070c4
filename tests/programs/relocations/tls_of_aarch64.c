//# cpu: aarch64, these relocations are its own
//# compilers: gcc
//# modes: one pic nopie
//# flags: -pthread
// Thread-locals in every model, by every sequence that an assembler has for it: pairs for `__tls_get_addr`, the
// module's own block, offsets from the GOT, descriptors, and offsets in instructions of every form.
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
extern __thread uint64_t first[2], second[2];
typedef void *way(void);
way general, local, initial, initial_literal, descriptor, exec_add, exec_moves, exec_small_moves;
way local_moves, general_tiny, local_tiny, descriptor_tiny;
struct values { uint64_t byte, half, word, two_words; };
void exec_loads(struct values *), local_loads(struct values *);
static void show(void (*load)(struct values *)) {
    struct values v = {0};
    load(&v);
    printf("%lx %lx %lx %lx\n", v.byte, v.half, v.word, v.two_words);
}
static void *run(void *number) {
    second[0] += (uint64_t)number;
    way *ways[] = {general, local, initial, initial_literal, descriptor, exec_add, exec_moves, exec_small_moves, local_moves, general_tiny,
                   local_tiny, descriptor_tiny};
    for (unsigned i = 0; i < sizeof ways / sizeof *ways; i++)
        printf("%d", ways[i]() == second);
    printf("\n");
    show(exec_loads);
    show(local_loads);
    return 0;
}
int main(void) {
    pthread_t thread;
    run((void *)1);
    pthread_create(&thread, 0, run, (void *)2);
    pthread_join(thread, 0);
    return 0;
}
//--- ways.S
    .section .tdata, "awT", %progbits
    .globl first, second
    .type first, %object
    .type second, %object
    .p2align 4
first: .quad 100, 101
second: .quad 0x1122334455667700, 0x99aabbccddeeff00
    .text
    .macro way name
    .globl \name
\name:
    .endm
    .macro calls
    stp x29, x30, [sp, #-16]!
    mov x29, sp
    .endm
    .macro returns
    ldp x29, x30, [sp], #16
    ret
    .endm
way general
    calls
    adrp x0, :tlsgd:second
    add x0, x0, #:tlsgd_lo12:second
    bl __tls_get_addr
    nop
    returns
    .macro module
    adrp x0, :tlsldm:second
    add x0, x0, #:tlsldm_lo12_nc:second
    bl __tls_get_addr
    nop
    .endm
way local
    calls
    module
    add x0, x0, #:dtprel_hi12:second, lsl #12
    add x0, x0, #:dtprel_lo12_nc:second
    returns
way local_moves
    calls
    module
    movz x1, #:dtprel_g1:second
    movk x1, #:dtprel_g0_nc:second
    add x2, x0, x1
    movz x1, #:dtprel_g0:second
    add x0, x0, x1
    cmp x0, x2
    csel x0, x0, xzr, eq
    returns
way initial
    mrs x1, tpidr_el0
    adrp x0, :gottprel:second
    ldr x0, [x0, #:gottprel_lo12:second]
    add x0, x0, x1
    ret
way initial_literal
    mrs x1, tpidr_el0
    ldr x0, :gottprel:second
    add x0, x0, x1
    ret
way descriptor
    calls
    adrp x0, :tlsdesc:second
    ldr x1, [x0, #:tlsdesc_lo12:second]
    add x0, x0, #:tlsdesc_lo12:second
    .tlsdesccall second
    blr x1
    mrs x1, tpidr_el0
    add x0, x0, x1
    returns
way general_tiny
    calls
    adr x0, :tlsgd:second
    bl __tls_get_addr
    nop
    returns
way local_tiny
    calls
    adr x0, :tlsldm:second
    bl __tls_get_addr
    nop
    add x0, x0, #:dtprel_hi12:second, lsl #12
    add x0, x0, #:dtprel_lo12_nc:second
    returns
way descriptor_tiny
    calls
    ldr x1, :tlsdesc:second
    adr x0, :tlsdesc:second
    .tlsdesccall second
    blr x1
    mrs x1, tpidr_el0
    add x0, x0, x1
    returns
way exec_add
    mrs x0, tpidr_el0
    add x0, x0, #:tprel_hi12:second
    add x0, x0, #:tprel_lo12_nc:second
    ret
way exec_moves
    mrs x0, tpidr_el0
    movz x1, #:tprel_g2:second
    movk x1, #:tprel_g1_nc:second
    movk x1, #:tprel_g0_nc:second
    add x0, x0, x1
    ret
way exec_small_moves
    mrs x0, tpidr_el0
    movz x1, #:tprel_g1:second
    movk x1, #:tprel_g0_nc:second
    movz x2, #:tprel_g0:second
    cmp x1, x2
    csel x1, x1, xzr, eq
    add x0, x0, x1
    ret
    .macro loads kind
    ldrb w2, [x1, #:\kind:second]
    str x2, [x0]
    ldrh w2, [x1, #:\kind:second]
    str x2, [x0, #8]
    ldr w2, [x1, #:\kind:second]
    str x2, [x0, #16]
    ldr x2, [x1, #:\kind:second]
    str x2, [x0, #24]
    .endm
way exec_loads
    mrs x1, tpidr_el0
    add x1, x1, #:tprel_hi12:second
    loads tprel_lo12_nc
    ret
way local_loads
    stp x29, x30, [sp, #-32]!
    str x19, [sp, #16]
    mov x19, x0
    module
    mov x1, x0
    mov x0, x19
    add x1, x1, #:dtprel_hi12:second, lsl #12
    loads dtprel_lo12_nc
    mov x0, x19
    ldr x19, [sp, #16]
    ldp x29, x30, [sp], #32
    ret
    .section .note.GNU-stack, "", %progbits
