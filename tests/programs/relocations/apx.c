//# cpu: x86-64, these instructions are its own
//# modes: one pic nopie
//# compilers: clang
//# native: -fuse-ld=lld
// The relocations of APX instructions (`R_X86_64_CODE_4_*`, `CODE_6_*`), which few machines can
// execute yet: the program decodes its own instructions and follows their operands instead.
#include <stdint.h>
#include <stdio.h>
#include <string.h>

extern const uint8_t loads[], adds[], tests[], thread_loads[], thread_adds[], wide_adds[], descriptors[];
extern char here[], there[];
extern _Thread_local int variable, other;

static int32_t field(const uint8_t *p) { int32_t v; memcpy(&v, p, 4); return v; }

// The operand of the 8-byte REX2 instruction at `p` as its value: an immediate, the address of a
// `lea`, or what lies there.
static int64_t operand(const uint8_t *p) {
    uint8_t opcode = p[2], mode = p[3];
    int32_t value = field(p + 4);
    if (p[0] != 0xd5)
        return -1;
    if (mode >= 0xc0) // a register: the displacement became an immediate
        return value;
    if (opcode == 0x8d)
        return (int64_t)(p + 8 + value);
    return *(const int64_t *)(p + 8 + value);
}

// The register that the instruction at `p` names, in `reg` or in `rm`.
static int destination(const uint8_t *p) {
    uint8_t rex2 = p[1], mode = p[3];
    if (mode >= 0xc0)
        return (mode & 7) | (rex2 & 1) << 3 | (rex2 >> 4 & 1) << 4;
    return (mode >> 3 & 7) | (rex2 >> 2 & 1) << 3 | (rex2 >> 6 & 1) << 4;
}

int main(void) {
    int64_t base = (int64_t)__builtin_thread_pointer();
    printf("mov %d %d, %d %d\n", operand(loads) == (int64_t)here, destination(loads),
           operand(loads + 8) == (int64_t)&stdout, destination(loads + 8));
    printf("add %d %d, cmp %d %d\n", operand(adds) == (int64_t)here, destination(adds),
           operand(adds + 8) == (int64_t)there, destination(adds + 8));
    printf("test %d %d\n", operand(tests) == (int64_t)here, destination(tests));
    printf("thread mov %d %d\n", operand(thread_loads) == (int64_t)&variable - base, destination(thread_loads));
    printf("thread add %d %d\n", operand(thread_adds) == (int64_t)&other - base, destination(thread_adds));
    printf("descriptor %d %d\n", operand(descriptors) == (int64_t)&other - base, destination(descriptors));
    // An EVEX instruction of 10 bytes with the operand in its last four.
    int64_t wide = field(wide_adds + 6);
    int64_t through = *(const int64_t *)(wide_adds + 10 + wide);
    printf("wide add %d\n", wide_adds[5] >= 0xc0 ? wide == (int64_t)&variable - base
                                                 : through == (int64_t)&variable - base);
    return 0;
}
//--- apx.s
    .text
    .globl loads, adds, tests, thread_loads, thread_adds, wide_adds, descriptors, here, there
loads:
    movq here@GOTPCREL(%rip), %r16
    movq stdout@GOTPCREL(%rip), %r31
adds:
    addq here@GOTPCREL(%rip), %r17
    cmpq there@GOTPCREL(%rip), %r18
tests:
    testq %r25, here@GOTPCREL(%rip)
thread_loads:
    movq variable@GOTTPOFF(%rip), %r20
thread_adds:
    addq other@GOTTPOFF(%rip), %r21
wide_adds:
    addq variable@GOTTPOFF(%rip), %r21, %r22
descriptors:
    leaq other@TLSDESC(%rip), %r16
    .data
here: .quad 1
there: .quad 2
    .section .tdata, "awT", @progbits
    .globl variable, other
    .type variable, @object
    .type other, @object
variable: .long 11
other: .long 22
    .section .note.GNU-stack, "", @progbits
