/* More thread-locals than a small reserve holds, in two threads. */
#include <pthread.h>
#include <stdio.h>

static __thread char large[200000];
static __thread int first = 5;

static void *work(void *argument) {
    large[sizeof large - 1] = (char)first++;
    large[0] = 2;
    return (void *)(long)(large[sizeof large - 1] + large[0] + first);
}

int main(void) {
    pthread_t thread;
    void *result;
    for (int round = 0; round < 3; round++) {
        if (pthread_create(&thread, NULL, work, NULL) != 0 || pthread_join(thread, &result) != 0)
            return 1;
        printf("%ld %d %d\n", (long)result, first, large[sizeof large - 1]);
    }
    work(NULL);
    printf("%d %d\n", first, large[sizeof large - 1]);
    return 0;
}
