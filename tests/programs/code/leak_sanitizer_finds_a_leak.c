//# executor: in-process, such a library has to be in the process from the start
//# expect-exit: 23
//# flags: -fsanitize=leak
//# native: -fsanitize=leak
//# jit: -fsanitize=leak
//# compilers: gcc
//# modes: default
// LeakSanitizer finds a block that nothing points to.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
char *kept;
static void *table[3];
static __thread char *kept_by_thread;
int main(void) {
    kept = strdup("lost");
    kept_by_thread = strdup("kept, too");
    table[2] = calloc(3, 100);
    *(void **)table[2] = malloc(7);
    puts(kept);
    kept = 0;
    return 0;
}
