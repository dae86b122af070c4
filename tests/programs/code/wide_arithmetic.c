//# libs: -latomic -lm
//# modes: few
//# linux: macOS has no _Float128
// Helpers of libgcc and libatomic: 128-bit integers, long double, _Float128, 16-byte atomics.
//# compilers: gcc
#include <complex.h>
#include <stdatomic.h>
#include <stdio.h>
typedef struct { long a, b; } pair;
static _Atomic pair shared;
int main(void) {
    volatile unsigned __int128 wide = ((unsigned __int128)1 << 100) + 12345;
    unsigned __int128 quotient = wide / 1000003, rest = wide % 1000003;
    printf("%llx %llx %llu\n", (unsigned long long)(quotient >> 64), (unsigned long long)quotient, (unsigned long long)rest);
    volatile _Float128 quad = 1.0f128;
    quad = quad / 3 + 5;
    printf("%.15f %d\n", (double)quad, (int)(quad * 100));
    volatile long double extended = 1.0L;
    extended = extended / 7;
    printf("%.18Lf %lld\n", extended, (long long)(extended * 1e15L));
    pair old = {0, 0}, new = {3, 4};
    int exchanged = atomic_compare_exchange_strong(&shared, &old, new);
    pair now = atomic_load(&shared);
    printf("%d %ld %ld\n", exchanged, now.a, now.b);
    volatile double complex z = 1 + 2 * I, w = z * z / (2 - I);
    printf("%.3f %.3f %d\n", creal(w), cimag(w), __builtin_popcountll(0xf0f0ull));
    return 0;
}
