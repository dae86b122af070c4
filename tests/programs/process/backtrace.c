//# modes: few debug
//# linux: its function is larger there
// backtrace() walks through the program's frames, from the innermost one to main and beyond.
#include <execinfo.h>
#include <stdio.h>
static int count;
__attribute__((noinline)) int innermost(void) {
    void *addresses[50];
    count = backtrace(addresses, 50);
    int inside = 0;
    for (int i = 0; i < count; i++) {
        char *address = addresses[i];
        inside += address > (char *)innermost && address < (char *)innermost + 200;
    }
    return inside;
}
__attribute__((noinline)) int recurse(int depth) {
    int result = depth ? recurse(depth - 1) : innermost();
    __asm__ volatile("");
    return result;
}
int main(void) {
    int inside = recurse(2), shallow = count;
    recurse(22);
    printf("%d %d\n", inside, count - shallow);
    return 0;
}
