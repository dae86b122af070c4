//# flags: -fstack-protector-all -O0
//# modes: one
//# expect-signal: 6
//# linux: the overflow is found by another check
#include <stdio.h>
#include <string.h>
__attribute__((noinline)) static void smash(volatile int size) {
    char buffer[8];
    memset(buffer, 'x', size);
    printf("%d\n", buffer[0]);
}
int main(void) {
    smash(64);
    return 0;
}
