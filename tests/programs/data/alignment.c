//# modes: few sections
// Alignments up to several pages, of constants, data, zeroed data, functions and commons.
#include <stdint.h>
#include <stdio.h>
static const _Alignas(4096) char constant[10] = "constant";
_Alignas(8192) int data = 5;
static _Alignas(16384) char zeroed[3];
_Alignas(65536) static char more_zeroed;
__attribute__((aligned(256))) int function(void) { return 7; }
extern char there[];
static int wrong(const void *address, unsigned align) { return (uintptr_t)address % align != 0; }
int main(void) {
    printf("%d %d %d %d %d %d\n", wrong(constant, 4096), wrong(&data, 8192), wrong(zeroed, 16384),
           wrong(&more_zeroed, 65536), wrong((void *)function, 256), wrong(there, 32768));
    printf("%s %d %d %d %s\n", constant, data, zeroed[2], function(), there);
    return 0;
}
//--- there.c
_Alignas(32768) char there[40000] = "there";
