//# flags: -fsanitize=leak
//# native: -fsanitize=leak
//# jit: -fsanitize=leak
//# compilers: gcc
//# modes: default
// LeakSanitizer finds nothing to complain of: all blocks are reachable from JIT'd data.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
char *kept;
static void *table[3];
static __thread char *kept_by_thread;
int main(void) {
    kept = strdup("kept");
    kept_by_thread = strdup("kept, too");
    table[2] = calloc(3, 100);
    *(void **)table[2] = malloc(7);
    puts(kept);
    return 0;
}
