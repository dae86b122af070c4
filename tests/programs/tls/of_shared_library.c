//# modes: few tlsdesc O2
//# flags: -pthread
//# shared: libcounter.so = counter.c
// Thread-locals that a shared library defines, and one of libc: errno by its accessor.
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

extern __thread int library_counter;
int library_increment(void);
int *library_address(void);

static void *run(void *argument) {
    long number = (long)argument;
    library_counter += number;
    library_increment();
    close(-1);
    return (void *)(long)(library_counter * 10 + (errno == EBADF) * 2 + (library_address() == &library_counter));
}

int main(void) {
    for (long i = 0; i < 4; i++) {
        pthread_t thread;
        void *result;
        pthread_create(&thread, 0, run, (void *)i);
        pthread_join(thread, &result);
        printf("%ld\n", (long)result);
    }
    errno = 0;
    printf("main %ld\n", (long)run((void *)7));
    return 0;
}
//--- counter.c
__thread int library_counter = 42;
int library_increment(void) { return ++library_counter; }
int *library_address(void) { return &library_counter; }
