//# cpu: x86-64, its assembler alone writes offsets of thread-locals as data
//# modes: one pic nopie
//# flags: -pthread
//# native: -fuse-ld=mold
// Offsets of thread-locals in data and in instructions: from the thread pointer
// (`@TPOFF`, `@GOTTPOFF`) and from the module's base (`@DTPOFF`), in fields of 32 and 64 bits.
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
extern const int64_t tp_offset64, module_offset64;
extern const int32_t tp_offset32, module_offset32;
extern __thread int first, second;
int *through_tp32(void), *through_module(int64_t offset), *through_large_module(void);
int *through_add(void);

static void *run(void *number) {
    char *tp = __builtin_thread_pointer();
    first += (int)(long)number;
    printf("%d %d\n", first, second);
    printf("%d %d\n", (int *)(tp + tp_offset64) == &first, (int *)(tp + tp_offset32) == &second);
    printf("%d %d\n", through_module(module_offset64) == &first, through_module(module_offset32) == &second);
    printf("%d %d %d\n", through_tp32() == &first, through_large_module() == &second,
           through_add() == &second);
    return 0;
}
int main(void) {
    pthread_t thread;
    run((void *)1);
    pthread_create(&thread, 0, run, (void *)2);
    pthread_join(thread, 0);
    return 0;
}
//--- offsets.S
    .section .tdata, "awT", @progbits
    .globl first, second
    .type first, @object
    .type second, @object
first: .long 100
second: .long 200
    .section .rodata, "a"
    .globl tp_offset64, tp_offset32, module_offset64, module_offset32
    .p2align 3
tp_offset64: .quad first@TPOFF
tp_offset32: .long second@TPOFF, 0
module_offset64: .quad first@DTPOFF
module_offset32: .long second@DTPOFF
    .text
    .globl through_tp32, through_module, through_large_module, through_add
through_tp32:
    movq %fs:0, %rax
    leaq first@TPOFF(%rax), %rax
    ret
through_module:
    pushq %rdi
    leaq first@TLSLD(%rip), %rdi
    call __tls_get_addr@PLT
    popq %rdi
    addq %rdi, %rax
    ret
through_large_module:
    subq $8, %rsp
    leaq second@TLSLD(%rip), %rdi
    call *__tls_get_addr@GOTPCREL(%rip)
    movabsq $second@DTPOFF, %rcx
    addq %rcx, %rax
    addq $8, %rsp
    ret
through_add:
    movq %fs:0, %rax
    addq second@GOTTPOFF(%rip), %rax
    ret
    .section .note.GNU-stack, "", @progbits
