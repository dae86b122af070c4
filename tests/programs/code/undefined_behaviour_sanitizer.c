//# flags: -fsanitize=undefined
//# native: -fsanitize=undefined
//# libs: -lubsan
//# compilers: gcc
//# modes: default nopie
#include <limits.h>
#include <stdio.h>
int main(void) {
    volatile int big = INT_MAX;
    volatile int shift = 40;
    printf("%d\n", big + 1 == INT_MIN);
    printf("%d\n", (1 << shift) != 12345);
    return 0;
}
