//# modes: all models
//# flags: -pthread
// Thread-locals of every linkage, defined here and there, read and written by several threads.
#include <pthread.h>
#include <stdio.h>

extern __thread int there_data;
extern __thread char there_bss[100];
extern __thread double there_double;
__thread int here_data = 5;
static __thread long here_static = -7;
static __thread long here_zero;
__thread int here_hidden __attribute__((visibility("hidden"))) = 11;

int *address_there(void);
int sum_there(void);
int read_hidden(void);

static void *run(void *argument) {
    long number = (long)argument;
    if (there_data != 1234 || there_bss[99] != 0 || there_double != 2.5 || here_data != 5 ||
        here_static != -7 || here_zero != 0 || read_hidden() != 11)
        return (void *)1;
    there_data += number;
    there_bss[99] = (char)number;
    here_data += number;
    here_static += number;
    here_zero += number;
    here_hidden += number;
    if (address_there() != &there_data || *address_there() != 1234 + number)
        return (void *)2;
    if (sum_there() != 1234 + number + number || read_hidden() != 11 + number)
        return (void *)3;
    return here_data == 5 + number && here_static == number - 7 && here_zero == number ? 0 : (void *)4;
}

int main(void) {
    pthread_t threads[8];
    for (long i = 0; i < 8; i++)
        pthread_create(&threads[i], 0, run, (void *)i);
    for (int i = 0; i < 8; i++) {
        void *result;
        pthread_join(threads[i], &result);
        printf("thread %d: %ld\n", i, (long)result);
    }
    printf("main: %ld\n", (long)run((void *)100));
    return 0;
}
//--- there.c
__thread int there_data = 1234;
__thread char there_bss[100];
__thread double there_double = 2.5;
extern __thread int here_hidden __attribute__((visibility("hidden")));
int *address_there(void) { return &there_data; }
int sum_there(void) { return there_data + there_bss[99]; }
int read_hidden(void) { return here_hidden; }
