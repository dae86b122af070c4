//# flags: -fcommon
//# modes: few large
// Tentative definitions are merged: the largest size, the strictest alignment, the one initializer.
#include <stdint.h>
#include <stdio.h>
int both;
int initialized_elsewhere;
char grows[10];
_Alignas(64) char aligned;
void set(void);
int main(void) {
    set();
    printf("%d %d %d %d\n", both, initialized_elsewhere, grows[9], (int)((uintptr_t)&aligned % 64));
    return 0;
}
//--- other.c
int both;
int initialized_elsewhere = 21;
char grows[1000];
char aligned;
void set(void) {
    both = 4;
    grows[9] = 5;
    grows[999] = 6;
}
