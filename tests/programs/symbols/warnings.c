//# archive: libold.a = old.c
//# linux: sections have names of ELF
// Symbols whose use is warned of (`.gnu.warning.*`) are linked all the same.
#include <stdio.h>
int old(int);
int main(void) {
    printf("%d\n", old(4));
    return 0;
}
//--- old.c
int old(int x) { return x + 1; }
static const char warning[] __attribute__((used, section(".gnu.warning.old"))) = "old() is old";
