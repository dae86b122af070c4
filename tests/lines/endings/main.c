#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void at_exit(void) { puts("atexit"); }
static void at_quick_exit_(void) { puts("at_quick_exit"); fflush(stdout); }
__attribute__((constructor)) static void start(void) { puts("constructor"); }
__attribute__((destructor)) static void end(void) { puts("destructor"); }

static void *other(void *status) { exit(*(int *)status); }

int main(int argc, char **argv) {
    const char *how = argc > 1 ? argv[1] : "";
    int number = argc > 2 ? atoi(argv[2]) : 0;
    atexit(at_exit);
    at_quick_exit(at_quick_exit_);
    puts(how);
    fflush(stdout);
    if (!strcmp(how, "return")) return number;
    if (!strcmp(how, "exit")) exit(number);
    if (!strcmp(how, "_exit")) _exit(number);
    if (!strcmp(how, "quick_exit")) quick_exit(number);
    if (!strcmp(how, "raise")) raise(number);
    if (!strcmp(how, "kill")) kill(getpid(), number);
    if (!strcmp(how, "abort")) abort();
    if (!strcmp(how, "pthread_exit")) pthread_exit(0);
    if (!strcmp(how, "thread")) {
        pthread_t thread;
        pthread_create(&thread, 0, other, &number);
        pthread_join(thread, 0);
    }
    return 99;
}
