//# modes: few O2
//# linux: macOS has no swapcontext without more
// setjmp and longjmp over several frames and objects, and their cousins with a context.
#include <setjmp.h>
#include <stdio.h>
#include <ucontext.h>
jmp_buf target;
void jump(int depth);
static ucontext_t here, there;
static char stack[65536];
static void on_other_stack(int value) {
    printf("other stack %d\n", value);
    swapcontext(&there, &here);
    printf("other stack again\n");
}
int main(void) {
    volatile int round = 0;
    int value = setjmp(target);
    printf("%d\n", value);
    if (round++ < 3) jump(round);
    getcontext(&there);
    there.uc_stack.ss_sp = stack;
    there.uc_stack.ss_size = sizeof stack;
    there.uc_link = &here;
    makecontext(&there, (void (*)(void))on_other_stack, 1, 77);
    swapcontext(&here, &there);
    puts("back");
    swapcontext(&here, &there);
    puts("end");
    return 0;
}
//--- jump.c
#include <setjmp.h>
extern jmp_buf target;
void jump(int depth) {
    if (depth > 0) jump(depth - 1);
    longjmp(target, 40 + depth);
}
