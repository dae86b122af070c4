//# modes: few
//# linux: sigisemptyset is of glibc
// Dispositions and masks are a fresh process's; handlers, sigaltstack, alarm and siglongjmp work.
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
static volatile sig_atomic_t count;
static sigjmp_buf jump;
static void counts(int number) { count += number; }
static void jumps(int number, siginfo_t *info, void *context) {
    (void)context;
    siglongjmp(jump, info->si_addr == (void *)16 ? number : -1);
}
int main(void) {
    int changed = 0;
    for (int number = 1; number < 32; number++) {
        struct sigaction old;
        // SIGPIPE is left as the test's own parent set it.
        if (number != SIGKILL && number != SIGSTOP && number != SIGPIPE && !sigaction(number, 0, &old))
            changed += old.sa_handler != SIG_DFL;
    }
    sigset_t blocked;
    sigprocmask(0, 0, &blocked);
    printf("%d %d\n", changed, sigisemptyset(&blocked));
    signal(SIGUSR1, counts);
    raise(SIGUSR1);
    printf("%d\n", count == SIGUSR1);

    stack_t stack = {.ss_sp = malloc(65536), .ss_size = 65536};
    sigaltstack(&stack, 0);
    struct sigaction action = {.sa_sigaction = jumps, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigaction(SIGSEGV, &action, 0);
    int result = sigsetjmp(jump, 1);
    if (result == 0) *(volatile int *)16 = 1;
    printf("%d\n", result);

    signal(SIGALRM, counts);
    alarm(1);
    pause();
    printf("%d\n", count == SIGUSR1 + SIGALRM);
    return 0;
}
