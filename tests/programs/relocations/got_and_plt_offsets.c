//# cpu: x86-64, these relocations are its own
//# modes: one pic nopie
// The GOT's own address and offsets from it, of 32 and 64 bits: of entries (`@GOT`), of what they
// hold (`@GOTOFF`), of functions (`@PLTOFF`), for targets in the object, in another one and in libc.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct ways {
    const char *got, *got_again;
    int64_t got64, got_offset64, got_delta64, got_plt64, plt_offset64;
    const char *got_delta64_place;
    int64_t got32, got_delta32;
    const char *got_delta32_place;
};
void ways_here(struct ways *), ways_there(struct ways *), ways_far(struct ways *);
int function_here(int);
int function_there(int x) { return x + 2; }

typedef int (*function)(int);

static int call(const char *address) { return ((function)(uintptr_t)address)(-40); }

static void show(void (*fill)(struct ways *), function expected) {
    struct ways w = {0};
    fill(&w);
    const char *address = (const char *)(uintptr_t)expected;
    printf("got %d\n", w.got == w.got_again);
    printf("entries %d %d %d %d %d\n", *(const char **)(w.got + w.got64) == address,
           *(const char **)(w.got_delta64_place + w.got_delta64) == address,
           *(const char **)(w.got + w.got_plt64) == address,
           *(const char **)(w.got + w.got32) == address,
           *(const char **)(w.got_delta32_place + w.got_delta32) == address);
    if (w.got_offset64)
        printf("offset %d\n", w.got + w.got_offset64 == address);
    printf("plt %d\n", call(w.got + w.plt_offset64));
}

int main(void) {
    show(ways_here, function_here);
    show(ways_there, function_there);
    show(ways_far, abs);
    return 0;
}
//--- ways.S
    .macro ways name, target, local
    .globl \name
\name:
    leaq _GLOBAL_OFFSET_TABLE_(%rip), %rax
    movq %rax, (%rdi)
9:  movabsq $_GLOBAL_OFFSET_TABLE_ - 9b, %rax
    leaq 9b(%rip), %rcx
    addq %rcx, %rax
    movq %rax, 8(%rdi)
    movabsq $\target@GOT, %rax
    movq %rax, 16(%rdi)
    .if \local
    movabsq $\target@GOTOFF, %rax
    movq %rax, 24(%rdi)
    .endif
    leaq 1f(%rip), %rcx
    movq %rcx, 56(%rdi)
    movq (%rcx), %rax
    movq %rax, 32(%rdi)
    movq 2f(%rip), %rax
    movq %rax, 40(%rdi)
    movabsq $\target@PLTOFF, %rax
    movq %rax, 48(%rdi)
    movslq 3f(%rip), %rax
    movq %rax, 64(%rdi)
    leaq 4f(%rip), %rcx
    movq %rcx, 80(%rdi)
    movslq (%rcx), %rax
    movq %rax, 72(%rdi)
    ret
    .section .rodata, "a"
    .p2align 3
1:  .reloc 1b, R_X86_64_GOTPCREL64, \target
    .quad 0
2:  .reloc 2b, R_X86_64_GOTPLT64, \target
    .quad 0
3:  .long \target@GOT
4:  .long \target@GOTPCREL
    .text
    .endm

    .text
    ways ways_here, function_here, 1
    ways ways_there, function_there, 1
    ways ways_far, abs, 0
    .globl function_here
function_here:
    leal 1(%rdi), %eax
    ret
    .section .note.GNU-stack, "", @progbits
