//# flags: -pthread
//# modes: one
//# executor: in-process, the threads of an executor keep its process when main has ended
// pthread_exit in main: the process goes on until the last thread ends, and exits with 0.
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
static void *run(void *main_thread) {
    pthread_join(*(pthread_t *)main_thread, 0);
    puts("the other thread outlives main");
    return 0;
}
int main(void) {
    static pthread_t self, other;
    self = pthread_self();
    pthread_create(&other, 0, run, &self);
    pthread_exit(0);
}
