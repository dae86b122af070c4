// The first thread ends before the others, or alone, in the C library's way and in the kernel's.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
static void *work(void *argument) {
    usleep(20000);
    puts("the other thread");
    fflush(stdout);
    return argument;
}
static pthread_t first;
static void *join(void *argument) {
    pthread_join(first, 0);
    puts("joined");
    fflush(stdout);
    return argument;
}
static void at_exit(void) { puts("at exit"); }
int main(int argc, char **argv) {
    pthread_t thread;
    atexit(at_exit);
    first = pthread_self();
    if (argc > 2) pthread_create(&thread, 0, strcmp(argv[2], "joins") ? work : join, 0);
    if (argc > 3) pthread_create(&thread, 0, work, 0);
    fflush(stdout);
    if (!strcmp(argv[1], "kernel")) syscall(SYS_exit, 3);
    pthread_exit(0);
}
