//# flags: -pthread
// Tens of kilobytes of thread-local storage, part initialized and part zero.
#include <pthread.h>
#include <stdio.h>

static __thread int initialized[2000] = {[0] = 1, [1999] = 2};
static __thread char zeroed[20000];

static void *run(void *argument) {
    char by = (char)(long)argument;
    int sum = 0;
    for (int i = 0; i < 2000; i++) sum += initialized[i];
    for (int i = 0; i < 20000; i++) sum += zeroed[i];
    for (int i = 0; i < 20000; i++) zeroed[i] = by;
    initialized[1000] = by;
    return (void *)(long)sum;
}

int main(void) {
    for (long i = 1; i < 5; i++) {
        pthread_t thread;
        void *result;
        pthread_create(&thread, 0, run, (void *)i);
        pthread_join(thread, &result);
        printf("%ld\n", (long)result);
    }
    printf("%ld ", (long)run((void *)1));
    printf("%ld\n", (long)run((void *)1));
    return 0;
}
