//# cpu: aarch64, it looks at this CPU's stubs; the x86-64 one steps through its own
//# modes: one
// A signal may come at any instruction of a stub and of a trampoline: unwinding from its handler gets to `main`. The
// handler says for each of them that it was interrupted there, with the registers of a call from `main`.
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <ucontext.h>
#include <unwind.h>
int lazy(int);
int other(int);
int main(void);
static uint64_t sp, fp, lr, stack[2];
static int lost, tried;
static _Unwind_Reason_Code look(struct _Unwind_Context *context, void *found) {
    if (_Unwind_FindEnclosingFunction((void *)(_Unwind_GetIP(context) - 1)) == (void *)main)
        ++*(int *)found;
    return _URC_NO_REASON;
}
static void try_at(mcontext_t *registers, uint64_t pc, int is_pushed) {
    mcontext_t before = *registers;
    int found = 0;
    registers->pc = pc;
    registers->sp = sp;
    registers->regs[29] = fp;
    registers->regs[30] = lr;
    if (is_pushed) {
        uint64_t *top = (uint64_t *)sp - 2;
        stack[0] = top[0], stack[1] = top[1];
        top[0] = fp, top[1] = lr;
        registers->sp = (uint64_t)top;
        registers->regs[29] = registers->regs[30] = 0;
        _Unwind_Backtrace(look, &found);
        top[0] = stack[0], top[1] = stack[1];
    } else {
        _Unwind_Backtrace(look, &found);
    }
    *registers = before;
    tried++;
    lost += found != 1;
}
static void handler(int signal, siginfo_t *info, void *context) {
    mcontext_t *registers = &((ucontext_t *)context)->uc_mcontext;
    int (*functions[])(int) = {lazy, other};
    for (int i = 0; i < 2; i++) {
        uint32_t *stub = (uint32_t *)functions[i];
        // bti c; adrp x16, page; ldr x16, [x16, offset]; br x16
        if (stub[0] != 0xd503245f || (stub[1] & 0x9f00001f) != 0x90000010 || stub[3] != 0xd61f0200)
            continue;
        for (int at = 0; at < 4; at++)
            try_at(registers, (uint64_t)(stub + at), 0);
        int64_t page = (int64_t)((stub[1] >> 29 & 3) | (stub[1] >> 3 & 0x1ffffc)) << 43 >> 31;
        uint64_t pointer = ((uint64_t)(stub + 1) & ~0xfffULL) + page + (stub[2] >> 10 & 0xfff) * 8;
        uint32_t *trampoline = *(uint32_t **)pointer;
        // stp x29, x30, [sp, -16]!; bl
        if (trampoline[0] == 0xa9bf7bfd && trampoline[1] >> 26 == 0x25) {
            try_at(registers, (uint64_t)trampoline, 0);
            try_at(registers, (uint64_t)(trampoline + 1), 1);
        }
    }
}
int main(void) {
    // Below it, the handler changes two words that nobody uses.
    volatile char room[256];
    room[0] = 0;
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    static char alternative[65536];
    stack_t other_stack = {.ss_sp = alternative, .ss_size = sizeof alternative};
    sigaltstack(&other_stack, 0);
    sigaction(SIGUSR1, &action, 0);
    __asm__ volatile("mov %0, sp\n mov %1, x29\n adr %2, 1f\n1:" : "=r"(sp), "=r"(fp), "=r"(lr));
    raise(SIGUSR1);
    int sum = lazy(1) + other(2);
    raise(SIGUSR1);
    fprintf(stderr, "%d tried\n", tried);
    printf("%d, %d lost\n", sum, lost);
    return lost != 0;
}
//--- lazy.c
int lazy(int x) { return x + 1; }
//--- other.c
int other(int x) { return x * 2; }
