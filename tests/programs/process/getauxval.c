//# modes: one
//# linux: sys/auxv.h is of Linux
// What the kernel told the process is still to be had.
#include <stdio.h>
#include <sys/auxv.h>
#include <unistd.h>
int main(void) {
    printf("%d %d\n", getauxval(AT_PAGESZ) == (unsigned long)sysconf(_SC_PAGESIZE), getauxval(AT_PHDR) != 0);
    printf("%d\n", getauxval(AT_RANDOM) != 0);
    return 0;
}
