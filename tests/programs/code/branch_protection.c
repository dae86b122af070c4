//# cpu: aarch64, its flags for branch protection
//# flags: -O2 -fstack-protector-strong -D_FORTIFY_SOURCE=2 -mbranch-protection=standard
//# modes: default nopie
// What distributions compile with: canaries, checked functions, landing pads and signed return addresses.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
__attribute__((noinline)) static int copy(const char *from) {
    char buffer[32];
    strncpy(buffer, from, sizeof buffer - 1);
    buffer[31] = 0;
    return (int)strlen(buffer);
}
static int compare(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }
int main(int argc, char **argv) {
    char text[20];
    int numbers[] = {3, 1, 2};
    qsort(numbers, 3, sizeof *numbers, compare);
    snprintf(text, sizeof text, "%d %d %d", copy("hello"), argc > 0 && argv[0], numbers[2]);
    puts(text);
    return 0;
}
