//# modes: one
//# expect-signal: 6
#include <stdio.h>
#include <stdlib.h>
static void not_run(void) { puts("not reached"); }
int main(void) {
    atexit(not_run);
    puts("before");
    fflush(stdout);
    abort();
}
