//# modes: few
// Symbols that a linker provides, in their usual order.
#include <stdio.h>
extern char etext[], edata[], end[], _end[], _edata[], _etext[], __bss_start[], __executable_start[];
extern char __ehdr_start[] __attribute__((weak, visibility("hidden")));
extern void *__dso_handle;
extern char _GLOBAL_OFFSET_TABLE_[] __attribute__((visibility("hidden")));
static int initialized = 1;
static int zeroed;
int main(void) {
    printf("%d %d %d\n", (char *)main < etext, (char *)&initialized < edata, (char *)&zeroed < end);
    printf("%d %d %d %d\n", etext == _etext, edata == _edata, end == _end, __bss_start <= _end);
    printf("%d %d\n", edata <= end, __executable_start != 0);
    return zeroed;
}
