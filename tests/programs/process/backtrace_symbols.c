//# native: -rdynamic
//# jit: -rdynamic
//# modes: default debug
// backtrace() walks through the program's frames to main; backtrace_symbols names them.
#include <execinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static int found_main;
__attribute__((noinline)) int innermost(void) {
    void *addresses[50];
    int count = backtrace(addresses, 50);
    char **names = backtrace_symbols(addresses, count);
    int named = 0;
    for (int i = 0; i < count; i++) {
        named += strstr(names[i], "innermost") || strstr(names[i], "recurse");
        found_main += strstr(names[i], "(main+") != 0;
    }
    free(names);
    return named;
}
__attribute__((noinline)) int recurse(int depth) { return depth ? recurse(depth - 1) + 0 * depth : innermost(); }
int main(void) {
    int named = recurse(5);
    printf("%d %d\n", named, found_main);
    return 0;
}
