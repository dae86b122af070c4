//# modes: few medium large
// Half a gigabyte of zeros that costs nothing until it is touched.
#include <stdio.h>
#include <string.h>
static char big[512 << 20];
char other[1 << 20];
static long resident(void) {
    long size, pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%ld %ld", &size, &pages) != 2) pages = -1;
    fclose(file);
    return pages * 4 / 1024;
}
int main(void) {
    big[100 << 20] = 1;
    big[sizeof big - 1] = 2;
    other[5] = 3;
    printf("%d %d %d %d\n", big[0], big[100 << 20], big[sizeof big - 1], other[sizeof other - 1]);
    printf("%d\n", resident() < 200);
    return 0;
}
