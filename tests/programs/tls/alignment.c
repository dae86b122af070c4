//# modes: few tlsdesc O2
//# flags: -pthread
// Thread-locals aligned far beyond a word, initialized and not, in two objects.
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>

__thread char odd = 1;
__thread _Alignas(64) int cache_line = 64;
__thread _Alignas(256) char zeroed[256];
extern __thread char other_odd;
extern __thread long other_line[8];
extern __thread _Alignas(128) char other_zeroed[3];

static int misaligned(const volatile void *address, unsigned align) { return (uintptr_t)address % align != 0; }

static void *run(void *unused) {
    (void)unused;
    long wrong = misaligned(&cache_line, 64) + misaligned(zeroed, 256) + misaligned(other_line, 32) +
                 misaligned(other_zeroed, 128);
    long values = odd == 1 && cache_line == 64 && zeroed[255] == 0 && other_odd == 3 && other_line[7] == 8 &&
                  other_zeroed[2] == 0;
    zeroed[255] = other_zeroed[2] = 9;
    cache_line = other_line[7] = 0;
    return (void *)(wrong * 10 + values);
}

int main(void) {
    for (int i = 0; i < 3; i++) {
        pthread_t thread;
        void *result;
        pthread_create(&thread, 0, run, 0);
        pthread_join(thread, &result);
        printf("%ld\n", (long)result);
    }
    printf("%ld\n", (long)run(0));
    return 0;
}
//--- other.c
__thread char other_odd = 3;
__thread _Alignas(32) long other_line[8] = {1, 2, 3, 4, 5, 6, 7, 8};
__thread _Alignas(128) char other_zeroed[3];
