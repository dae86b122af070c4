//# modes: default pic nopie-O2 tlsdesc pic-O2 large-pic
//# flags: -ftls-model=initial-exec -pthread
// One model for every access, whatever the compiler would choose by itself.
#include <pthread.h>
#include <stdio.h>

extern __thread int shared[3];
static __thread int first = 1, second = 2;
static __thread char *pointer = "text";
static __thread struct { char c; long l; } zeroed[4];

int add_to_shared(int);

static int touch(int by) {
    first += by;
    second += by * 2;
    zeroed[3].l += by;
    zeroed[3].c = pointer[by % 4];
    shared[1] += by;
    return add_to_shared(by) + first + second + (int)zeroed[3].l + zeroed[3].c + (&first != &second);
}

static void *run(void *argument) { return (void *)(long)touch((int)(long)argument); }

int main(void) {
    for (long i = 0; i < 4; i++) {
        pthread_t thread;
        void *result;
        pthread_create(&thread, 0, run, (void *)i);
        pthread_join(thread, &result);
        printf("thread %ld: %ld\n", i, (long)result);
    }
    int once = touch(50);
    printf("main: %d, then %d\n", once, touch(50));
    return 0;
}
//--- shared.c
__thread int shared[3] = {100, 200, 300};
int add_to_shared(int by) {
    shared[2] += by;
    return shared[0] + shared[1] + shared[2];
}
