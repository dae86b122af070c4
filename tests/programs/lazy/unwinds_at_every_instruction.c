//# cpu: x86-64, the flag that traps after each instruction is this CPU's
//# modes: few
//# flags: -fno-omit-frame-pointer -fno-optimize-sibling-calls
// A signal may come at any instruction, in a stub, in a trampoline and in what they lead to as well: unwinding from
// its handler always gets to `main`. The processor traps after each instruction of first and of later calls. Frame
// pointers alone lead from the runtime's part of a first call to its caller, too.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>
#include <unwind.h>
int one(int);
int two(int, double);
int deep(int);
static void calls(void);
static struct { unsigned long start, end; } others[4096];
static int other_count;
static volatile unsigned long steps, lost, reentered, led;
static unsigned long lost_at[16];
static int is_other(unsigned long pc) {
    for (int i = 0; i < other_count; i++)
        if (pc >= others[i].start && pc < others[i].end)
            return 1;
    return 0;
}
// Code that is not the program's: that of libraries, and of who runs the program.
static void find_others(void) {
    char line[4096];
    FILE *maps = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, maps) && other_count < 4096) {
        unsigned long start, end;
        char can[8];
        int path = 0;
        sscanf(line, "%lx-%lx %7s %*s %*s %*s %n", &start, &end, can, &path);
        int is_file = (line[path] == '/' && strncmp(line + path, "/memfd:", 7)) || line[path] == '[';
        int is_own = (unsigned long)calls >= start && (unsigned long)calls < end;
        if (can[2] == 'x' && is_file && !is_own) {
            others[other_count].start = start;
            others[other_count++].end = end;
        }
    }
    fclose(maps);
}
static _Unwind_Reason_Code look(struct _Unwind_Context *context, void *found) {
    if (_Unwind_FindEnclosingFunction((void *)(_Unwind_GetIP(context) - 1)) == (void *)calls)
        *(int *)found = 1;
    return _URC_NO_REASON;
}
static int is_in_calls(unsigned long pc) {
    return _Unwind_FindEnclosingFunction((void *)(pc - 1)) == (void *)calls;
}
static void follow_frame_pointers(unsigned long pc, unsigned long *frame) {
    Dl_info info;
    if (!dladdr((void *)pc, &info) || !info.dli_sname || strcmp(info.dli_sname, "__orc_rt_sysv_reenter"))
        return;
    reentered++;
    for (int depth = 0; depth < 8; depth++, frame = (unsigned long *)frame[0])
        if (is_in_calls(frame[1])) {
            led++;
            return;
        }
}
// What others do is not looked at: it is called with the flag cleared, and returns to what sets it again.
void resume(void);
unsigned long resume_at;
static void trap(int signal, siginfo_t *info, void *context) {
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    unsigned long pc = (unsigned long)registers[REG_RIP];
    int found = 0;
    if (is_other(pc)) {
        unsigned long *top = (unsigned long *)registers[REG_RSP];
        resume_at = *top;
        *top = (unsigned long)resume;
        registers[REG_EFL] &= ~0x100;
        return;
    }
    steps++;
    follow_frame_pointers(pc, (unsigned long *)registers[REG_RBP]);
    _Unwind_Backtrace(look, &found);
    if (!found && lost++ < 16)
        lost_at[lost - 1] = pc;
}
void step(void);
void run(void);
__asm__(
    ".text\n"
    "step: .cfi_startproc\n"
    "pushfq\n.cfi_adjust_cfa_offset 8\n"
    "orq $0x100, (%rsp)\n"
    "popfq\n.cfi_adjust_cfa_offset -8\n"
    "ret\n.cfi_endproc\n"
    "run: .cfi_startproc\n"
    "pushfq\n.cfi_adjust_cfa_offset 8\n"
    "andq $~0x100, (%rsp)\n"
    "popfq\n.cfi_adjust_cfa_offset -8\n"
    "ret\n.cfi_endproc\n"
    "resume: .cfi_startproc\n"
    "push %rax\n"
    "push %rax\n"
    "mov resume_at(%rip), %rax\n"
    "mov %rax, 8(%rsp)\n"
    "pop %rax\n"
    "pushfq\n"
    "orq $0x100, (%rsp)\n"
    "popfq\n"
    "ret\n.cfi_endproc\n");
static __attribute__((noinline)) void calls(void) {
    int sum = 0;
    for (int i = 0; i < 2; i++) {
        step();
        sum += one(1) + two(2, 3.0) + deep(3);
        run();
    }
    printf("%d\n", sum);
}
int main(void) {
    int found = 0;
    find_others();
    _Unwind_Backtrace(look, &found);
    struct sigaction action = {.sa_sigaction = trap, .sa_flags = SA_SIGINFO};
    sigaction(SIGTRAP, &action, 0);
    calls();
    printf(steps > 40 ? "stepped\n" : "did not step\n");
    printf("%lu lost\n", lost);
    fprintf(stderr, "%lu of %lu led to the caller\n", led, reentered);
    printf(2 * led >= reentered ? "frame pointers lead to callers\n" : "they do not\n");
    for (unsigned long i = 0; i < lost && i < 16; i++)
        printf("lost at %lx\n", lost_at[i]);
    return lost != 0;
}
//--- one.c
int one(int x) { return x + 1; }
//--- two.c
int two(int x, double y) { return x + (int)y; }
//--- deep.c
int one(int);
int deeper(int);
int deep(int x) { return one(x) + deeper(x) * 2; }
//--- deeper.c
int deeper(int x) { return x ? x * 3 : 0; }
