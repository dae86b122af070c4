//# flags: -O2
//# modes: default nopie
// Functions split into hot, cold, startup and exit sections.
#include <stdio.h>
#include <stdlib.h>
__attribute__((cold, noinline)) static void rare(int x) { printf("rare %d\n", x); }
__attribute__((hot, noinline)) int often(int x) { return x * 3; }
int main(void) {
    long sum = 0;
    for (int i = 0; i < 1000; i++) {
        if (__builtin_expect(i == 500, 0)) rare(i);
        sum += often(i);
    }
    printf("%ld\n", sum);
    return 0;
}
