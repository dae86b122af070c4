//# flags: -pthread
//# modes: few
// Threads with the smallest stacks: made by the C library, and by the program.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
static _Thread_local int mine = 5;
static void *run(void *argument) {
    char room[1500];
    memset(room, (int)(long)argument, sizeof room);
    mine += room[1000];
    return (void *)(long)mine;
}
static void try(const char *what, size_t size, const pthread_attr_t *attributes) {
    pthread_t thread;
    void *result = 0;
    int error = pthread_create(&thread, attributes, run, (void *)7L);
    if (!error) pthread_join(thread, &result);
    printf("%s %zu: %s %ld\n", what, size, strerror(error), (long)result);
}
int main(void) {
    const size_t sizes[] = {16384, 20480, 32768, 65536, 131072, 2097152};
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, sizes[i]);
        try("made", sizes[i], &attributes);
        if (sizes[i] >= 32768) {
            void *stack = mmap(0, sizes[i], PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            pthread_attr_setstack(&attributes, stack, sizes[i]);
            try("own", sizes[i], &attributes);
        }
        pthread_attr_destroy(&attributes);
    }
    return 0;
}
