//# modes: few O2
//# flags: -pthread
//# env: GLIBC_TUNABLES=glibc.malloc.check=0
//# env: ORDINARY=yes
//# args: first second
// More than a megabyte of thread-locals, initialized and zero, in the main thread and in others. The
// environment is the user's.
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern char **environ;
static _Thread_local int numbers[100000] = {[0] = 1, [99999] = 2};
static _Thread_local _Alignas(1024) char zeros[700000];
_Thread_local const char *text = "text";

static void *run(void *unused) {
    (void)unused;
    long sum = (uintptr_t)zeros % 1024;
    for (int i = 0; i < 100000; i++) sum += numbers[i];
    for (int i = 0; i < 700000; i++) sum += zeros[i];
    sum += strlen(text);
    memset(zeros, 1, sizeof zeros);
    numbers[50000] = 9;
    text = "longer text";
    return (void *)sum;
}

int main(int argc, char **argv) {
    for (int i = 0; i < 3; i++) {
        pthread_t thread;
        void *sum;
        pthread_create(&thread, 0, run, 0);
        pthread_join(thread, &sum);
        printf("%ld\n", (long)sum);
    }
    printf("%ld\n", (long)run(0));
    int ours = 0;
    for (char **variable = environ; *variable; variable++) ours += strstr(*variable, "ORC_JIT_SAVED") != 0;
    const char *tunables = getenv("GLIBC_TUNABLES"), *ordinary = getenv("ORDINARY");
    printf("%s %s %d\n", tunables ? tunables : "none", ordinary ? ordinary : "none", ours);
    for (int i = 1; i < argc; i++) puts(argv[i]);
    return 0;
}
