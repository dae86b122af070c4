// Nanoseconds per call: of a function of the same object, of one of another object, and through a pointer. The
// other object is linked lazily, so that its function is called through a stub; the first call is not counted.
#include <stdio.h>
#include <time.h>

int there(int);
__attribute__((noinline, noclone)) int here(int x) { return x + 1; }

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e9 + time.tv_nsec;
}

#define COUNT 50000000
#define BEST(NAME, CALL)                                      \
    {                                                         \
        double best = 1e18;                                   \
        for (int round = 0; round < 9; round++) {             \
            double start = now();                             \
            for (int i = 0, x = 0; i < COUNT; i++) {          \
                x = CALL(x);                                  \
                __asm__ volatile("" : "+r"(x) : : "memory");  \
            }                                                 \
            double each = (now() - start) / COUNT;            \
            best = each < best ? each : best;                 \
        }                                                     \
        printf(NAME " %.3f\n", best);                         \
    }

int (*pointer)(int) = here;

int main(void) {
    there(0);
    BEST("direct", here)
    BEST("pointer", pointer)
    BEST("other-object", there)
    return 0;
}
