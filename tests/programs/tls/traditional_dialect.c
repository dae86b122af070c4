//# cpu: aarch64, where descriptors are the rule
//# compilers: gcc
//# flags: -mtls-dialect=trad -ftls-model=global-dynamic -pthread
//# modes: pic
// Calls of `__tls_get_addr`, by the compiler.
#include <pthread.h>
#include <stdio.h>
__thread int here = 3;
static __thread int own = 4;
extern __thread long there[4];
long *address_there(void);
static void *run(void *number) {
    here += (int)(long)number;
    own += here;
    there[2] += own;
    printf("%d %d %ld %d\n", here, own, *address_there(), &there[2] == address_there());
    return 0;
}
int main(void) {
    pthread_t thread;
    run((void *)1);
    pthread_create(&thread, 0, run, (void *)2);
    pthread_join(thread, 0);
    return 0;
}
//--- there.c
__thread long there[4] = {1, 2, 30, 4};
static __thread char bytes[3];
long *address_there(void) {
    bytes[1]++;
    return &there[1 + bytes[1]];
}
