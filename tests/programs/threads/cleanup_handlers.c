//# flags: -pthread
//# modes: few
//# linux: macOS has its handlers in what a pthread_t leads to
// pthread_cleanup_push, pthread_key destructors, cancellation, pthread_once, thread names.
#define _GNU_SOURCE
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <unistd.h>
static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static sem_t ready;
static void cleanup(void *text) { printf("cleanup %s\n", (char *)text); }
static void destroy(void *text) { printf("destroy %s\n", (char *)text); }
static void create_key(void) { pthread_key_create(&key, destroy); }
static void *run(void *unused) {
    (void)unused;
    pthread_once(&once, create_key);
    pthread_setspecific(key, "specific");
    pthread_cleanup_push(cleanup, "outer");
    pthread_cleanup_push(cleanup, "inner");
    sem_post(&ready);
    for (;;) sleep(1);
    pthread_cleanup_pop(0);
    pthread_cleanup_pop(0);
    return 0;
}
int main(void) {
    sem_init(&ready, 0, 0);
    pthread_t thread;
    pthread_create(&thread, 0, run, 0);
    sem_wait(&ready);
    pthread_cancel(thread);
    void *result;
    pthread_join(thread, &result);
    printf("%d\n", result == PTHREAD_CANCELED);
    return 0;
}
