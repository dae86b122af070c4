/* Prints what `foo` is, as a number and as a distance from `base`. The numbers are those of a small
   program: link with -no-pie, where a linked program does not relax absolute values to places. */
#include <stdio.h>
extern char foo[];
char base[64];
char other[32] __attribute__((aligned(32)));
int main(void) {
    volatile long value = (long)foo;
    if (value > -0x100000 && value < 0x400000) printf("number %ld\n", value);
    else if (value - (long)base < 0x10000 && value - (long)base > -0x10000) printf("base%+ld\n", value - (long)base);
    else printf("something else\n");
    return 0;
}
