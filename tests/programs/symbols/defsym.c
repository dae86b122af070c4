//# modes: few
//# native: -Wl,--defsym=number=0x1234 -Wl,--defsym=also=implementation -Wl,--defsym=twelve=12
//# jit: --defsym=number=0x1234 --defsym=also=implementation -Wl,--defsym=twelve=12
// Symbols that the command line defines: as numbers and as other names of functions.
#include <stdint.h>
#include <stdio.h>
extern char number[] __attribute__((weak)), twelve[] __attribute__((weak));
int also(int);
int implementation(int x) { return x * 2; }
static const char *const table[] = {number, twelve};
int main(void) {
    printf("%d %d\n", also(21), also == implementation);
    printf("%d %d\n", (int)(table[1] - table[0]), (int)(table[0] - table[1]));
    return 0;
}
