//# expect-exit: 4
// quick_exit runs its own handlers in reverse order, and neither atexit's nor destructors.
#include <stdio.h>
#include <stdlib.h>
static void quick1(void) { puts("quick 1"); fflush(stdout); }
static void quick2(void) { puts("quick 2"); fflush(stdout); }
static void normal(void) { puts("not reached"); }
__attribute__((destructor)) static void destruct(void) { puts("not reached"); }
int main(void) {
    atexit(normal);
    at_quick_exit(quick1);
    at_quick_exit(quick2);
    puts("main");
    fflush(stdout);
    quick_exit(4);
}
