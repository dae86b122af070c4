//# cpu: x86-64, these instructions are its own
//# modes: one pic nopie
//# native: -Wl,--no-relax
// Every instruction that `R_X86_64_GOTPCRELX` and `REX_GOTPCRELX` may stand in, for targets that a
// linker may put into the instruction (here, there, small numbers, an undefined weak symbol) and
// for those that have to stay in the GOT (libc's data, a large number).
#include <stdint.h>
#include <stdio.h>

struct results {
    uint64_t mov, mov32, add, or_, adc, sbb, and_, sub, xor_, upper;
    uint8_t cmp, test;
};
void forms_here(struct results *), forms_there(struct results *), forms_small(struct results *);
void forms_negative(struct results *), forms_big(struct results *), forms_weak(struct results *);
void forms_far(struct results *);
extern char here[];
char there[16];
int callee_there(int x) { return x * 3; }
int calls_here(int), calls_there(int), calls_far(int), jumps_here(int), jumps_far(int);

static void check(const char *name, void (*fill)(struct results *), uint64_t value) {
    struct results r;
    const uint64_t start = 0x1234567812345678;
    fill(&r);
    printf("%s: %d%d%d %d%d%d%d%d%d%d %d%d\n", name, r.mov == value, r.mov32 == (uint32_t)value,
           r.upper == value, r.add == start + value, r.or_ == (start | value),
           r.adc == start + value + 1, r.sbb == start - value - 1, r.and_ == (start & value),
           r.sub == start - value, r.xor_ == (start ^ value), r.cmp == (start > value),
           r.test == ((start & value) == 0));
}

int main(void) {
    check("here", forms_here, (uint64_t)here);
    check("there", forms_there, (uint64_t)there);
    check("small", forms_small, 0x1234);
    check("negative", forms_negative, (uint64_t)-5);
    check("big", forms_big, 0x123456789a);
    check("weak", forms_weak, 0);
    check("far", forms_far, (uint64_t)&stdout);
    printf("%d %d %d %d %d\n", calls_here(2), calls_there(2), calls_far(-2), jumps_here(4),
           jumps_far(-3));
    return 0;
}
//--- forms.S
    .text
    .weak missing
    .globl here, callee_here
    .macro operate operation, target, slot
    movq %rdx, %r9
    stc
    \operation \target@GOTPCREL(%rip), %r9
    movq %r9, \slot(%rdi)
    .endm
    .macro forms name, target
    .globl forms_\name
forms_\name:
    movabsq $0x1234567812345678, %rdx
    movq \target@GOTPCREL(%rip), %rax
    movq %rax, (%rdi)
    movl \target@GOTPCREL(%rip), %eax
    movq %rax, 8(%rdi)
    operate addq, \target, 16
    operate orq, \target, 24
    operate adcq, \target, 32
    operate sbbq, \target, 40
    operate andq, \target, 48
    operate subq, \target, 56
    operate xorq, \target, 64
    movq \target@GOTPCREL(%rip), %r11
    movq %r11, 72(%rdi)
    cmpq \target@GOTPCREL(%rip), %rdx
    seta 80(%rdi)
    testq %rdx, \target@GOTPCREL(%rip)
    setz 81(%rdi)
    ret
    .endm
    forms here, here
    forms there, there
    forms small, small
    forms negative, negative
    forms big, big
    forms weak, missing
    forms far, stdout

    .macro calls name, target
    .globl calls_\name, jumps_\name
calls_\name:
    subq $8, %rsp
    call *\target@GOTPCREL(%rip)
    addq $8, %rsp
    ret
jumps_\name:
    jmp *\target@GOTPCREL(%rip)
    ud2
    .endm
    calls here, callee_here
    calls there, callee_there
    calls far, abs
callee_here:
    leal 1(%rdi), %eax
    ret
    .data
here: .quad 0
    .section .note.GNU-stack, "", @progbits
//--- numbers.S
    .globl small, negative, big
    .set small, 0x1234
    .set negative, -5
    .set big, 0x123456789a
    .section .note.GNU-stack, "", @progbits
