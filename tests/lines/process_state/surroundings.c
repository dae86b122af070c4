// Signals, limits, floating point and locale are as a process is started with.
#define _GNU_SOURCE
#include <fenv.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
int main(void) {
    sigset_t blocked;
    sigprocmask(SIG_SETMASK, 0, &blocked);
    for (int signal = 1; signal < SIGRTMAX; signal++) {
        struct sigaction action;
        if (sigismember(&blocked, signal)) printf("%d is blocked\n", signal);
        if (sigaction(signal, 0, &action) == 0 && action.sa_handler != SIG_DFL)
            printf("%d is handled\n", signal);
    }
    struct rlimit files, stack;
    getrlimit(RLIMIT_NOFILE, &files);
    getrlimit(RLIMIT_STACK, &stack);
    unsigned control;
    __asm__("stmxcsr %0" : "=m"(control));
    mode_t mask = umask(0);
    printf("%lu %lu %x %d %d\n", files.rlim_cur, stack.rlim_cur, control, fegetround(), fegetexcept());
    printf("%o %s %d %d\n", mask, setlocale(LC_ALL, 0), getpid() == gettid(), optind);
    return 0;
}
