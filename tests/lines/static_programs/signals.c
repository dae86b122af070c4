/* Signals have their default actions at first; children and handlers work. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t seen;
static void note(int signal) { seen = signal; }

int main(int argc, char **argv) {
    (void)argv;
    for (int signal = 1; signal < 32; signal++) {
        struct sigaction known;
        if (sigaction(signal, NULL, &known) == 0 && known.sa_handler != SIG_DFL
            && known.sa_handler != SIG_IGN)
            printf("%d has a handler\n", signal);
    }
    fflush(stdout);
    if (argc > 1) *(volatile int *)16 = 1;
    signal(SIGUSR1, note);
    raise(SIGUSR1);
    pid_t child = fork();
    if (child == 0) exit(7);
    int status = 0;
    waitpid(child, &status, 0);
    printf("%d %d %d\n", seen == SIGUSR1, WEXITSTATUS(status), system("exit 5") >> 8);
    return 0;
}
