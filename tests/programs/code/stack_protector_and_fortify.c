//# cpu: x86-64, its flag for indirect branch tracking
//# flags: -O2 -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fcf-protection=full
//# modes: default nopie
// What distributions compile with: canaries, checked functions, and indirect branch tracking.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
__attribute__((noinline)) static int copy(const char *from) {
    char buffer[32];
    strncpy(buffer, from, sizeof buffer - 1);
    buffer[31] = 0;
    return (int)strlen(buffer);
}
int main(int argc, char **argv) {
    char text[20];
    snprintf(text, sizeof text, "%d %d", copy("hello"), argc > 0 && argv[0]);
    puts(text);
    return 0;
}
