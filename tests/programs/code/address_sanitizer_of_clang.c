//# needs: clang-runtime:asan
//# flags: -fsanitize=address -g
//# native: -fsanitize=address
//# jit: -fsanitize=address
//# compilers: clang
//# env: CC=clang-22
//# modes: default
//# expect-exit: 1
// AddressSanitizer: its runtime comes first in the process, finds an overflow of a heap block, and
// takes no block that a JIT'd global points to for leaked.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
char *kept;
__thread char *kept_by_thread;
int main(void) {
    kept = strdup("kept");
    kept_by_thread = strdup("kept, too");
    char *text = malloc(10);
    memset(text, 'a', 10);
    printf("%.10s %s\n", text, kept);
    fflush(stdout);
    volatile int past = 10;
    printf("%c\n", text[past]);
    return 0;
}
