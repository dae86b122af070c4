//# flags: --coverage
//# native: --coverage
//# jit: --coverage
//# compilers: gcc
//# modes: one
// Test coverage: counters by section bounds and constructors, and the library that writes them.
#include <stdio.h>
void __gcov_reset(void);
void __gcov_dump(void);
int main(void) {
    __gcov_reset();
    for (int i = 0; i < 3; i++)
        printf("%d\n", i);
    __gcov_dump();
    FILE *profile = fopen("main.gcda", "r");
    printf("%d\n", profile != 0);
    return 0;
}
