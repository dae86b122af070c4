// The main thread has the main thread's stack: it grows to its limit, and threads have theirs.
//# modes: one
//# flags: -pthread
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
static long deep(int depth) {
    volatile unsigned char page[4096]; // A plain one has a sign on some systems.
    memset((void *)page, depth, sizeof page);
    return depth ? deep(depth - 1) + page[5] : page[7];
}
static void *run(void *unused) {
    (void)unused;
    return (void *)deep(100);
}
int main(void) {
    struct rlimit limit;
    getrlimit(RLIMIT_STACK, &limit);
    printf("%d\n", limit.rlim_cur >= 4 << 20);
    printf("%ld\n", deep(1000));
    pthread_t thread;
    void *result;
    pthread_create(&thread, 0, run, 0);
    pthread_join(thread, &result);
    printf("%ld\n", (long)result);
    return 0;
}
