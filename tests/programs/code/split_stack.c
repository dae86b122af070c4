//# cpu: x86-64, compilers split stacks for few CPUs
//# compilers: gcc
//# modes: few
//# flags: -fsplit-stack
//# native: -fsplit-stack
//# jit: -fsplit-stack
// Stacks that grow in pieces: each function asks for room, and so does each thread's first.
#include <pthread.h>
#include <stdio.h>
static int sum(int depth) {
    volatile char room[5000];
    room[0] = 1;
    return depth == 0 ? 0 : sum(depth - 1) + room[0];
}
static void *thread(void *unused) {
    printf("thread %d\n", sum(3000));
    return unused;
}
int main(void) {
    printf("main %d\n", sum(3000));
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 256 << 10);
    pthread_t other;
    if (pthread_create(&other, &attributes, thread, 0)) return 1;
    pthread_join(other, 0);
    return 0;
}
