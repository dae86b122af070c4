//# expect-exit: 23
//# flags: -fsanitize=leak
//# native: -fsanitize=leak
//# jit: -fsanitize=leak
//# compilers: gcc
//# modes: default
// LeakSanitizer finds blocks that nothing points to. One may go unnoticed, because an address that is
// left over on the stack or in a register counts as a pointer.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
char *kept;
static void *table[3];
static __thread char *kept_by_thread;
int main(void) {
    for (int i = 0; i < 10; i++) kept = strdup("lost");
    kept_by_thread = strdup("kept, too");
    table[2] = calloc(3, 100);
    *(void **)table[2] = malloc(7);
    puts(kept);
    kept = 0;
    return 0;
}
