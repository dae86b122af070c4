/* Thread-locals, constructors, handlers at exit, threads and memory. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static __thread int counter = 5;
static __thread char zeros[100];
static __thread struct { int value; } aligned __attribute__((aligned(64))) = {9};

__attribute__((constructor)) static void early(void) { printf("early %d\n", counter); }
__attribute__((destructor)) static void late(void) { printf("late\n"); }
static void at_exit(void) { printf("at exit\n"); }

static void *run(void *number) {
    counter += (int)(long)number;
    zeros[3] = 1;
    void *memory = malloc(1 << 20);
    memset(memory, 1, 1 << 20);
    free(memory);
    return (void *)(long)(counter + zeros[3] + aligned.value);
}

int main(int argc, char **argv) {
    pthread_t threads[4];
    void *result;
    int sum = 0;
    atexit(at_exit);
    printf("%d %s %d\n", argc, argc > 1 ? argv[1] : "-", errno);
    printf("%d\n", (int)((unsigned long)&aligned % 64));
    for (long i = 0; i < 4; i++) pthread_create(&threads[i], NULL, run, (void *)i);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], &result);
        sum += (int)(long)result;
    }
    const char *player = getenv("PLAYER");
    printf("%d %d %s\n", sum, counter, player ? player : "nobody");
    return 3;
}
