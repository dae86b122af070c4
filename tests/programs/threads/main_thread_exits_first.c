//# flags: -pthread
//# modes: one
// pthread_exit in main: the process goes on until the last thread ends, and exits with 0; exit
// handlers run on that thread. So it is in a forked child.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
static pthread_t self, other, another;
static const char *name = "parent";
static void at_exit(void) { printf("%s exits, on the first thread: %d\n", name, pthread_equal(pthread_self(), self)); }
static void *run(void *main_thread) {
    pthread_join(*(pthread_t *)main_thread, 0);
    printf("%s: the other thread outlives main\n", name);
    return 0;
}
static void *run_longer(void *unused) {
    pthread_join(other, 0);
    usleep(100000);
    printf("%s: the last thread\n", name);
    return unused;
}
int main(void) {
    atexit(at_exit);
    pid_t child = fork();
    if (child == 0) name = "child";
    else {
        int status;
        waitpid(child, &status, 0);
        printf("the child's status: %d\n", status);
    }
    self = pthread_self();
    pthread_create(&other, 0, run, &self);
    pthread_create(&another, 0, run_longer, 0);
    pthread_exit(0);
}
