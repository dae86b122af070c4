//# modes: one sections
//# native: -Wl,--gc-sections -Wl,-z,start-stop-gc
// `SHF_GNU_RETAIN` keeps what nothing refers to: a constructor table found by symbols of its own.
#include <stdio.h>
#define RETAINED __attribute__((retain, used, section("table")))
static int RETAINED first = 1, RETAINED second = 2;
extern int __start_table[] __attribute__((weak)), __stop_table[] __attribute__((weak));
int main(void) {
    printf("%d\n", (int)(__stop_table - __start_table));
    return 0;
}
