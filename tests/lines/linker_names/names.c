/* What GNU ld's default script defines, and its linker adds, as places among what the program has. */
#include <stdio.h>

#define HIDDEN __attribute__((visibility("hidden")))
#define WEAK_HIDDEN __attribute__((weak, visibility("hidden")))

extern char __executable_start[], etext[], _etext[], __etext[];
extern char edata[], _edata[], __bss_start[], end[], _end[];
extern char data_start[], __data_start[];
extern unsigned char __ehdr_start[] HIDDEN;
extern void (*__preinit_array_start[])(void) HIDDEN, (*__preinit_array_end[])(void) HIDDEN;
extern void (*__init_array_start[])(void) HIDDEN, (*__init_array_end[])(void) HIDDEN;
extern void (*__fini_array_start[])(void) HIDDEN, (*__fini_array_end[])(void) HIDDEN;
extern char __rela_iplt_start[] WEAK_HIDDEN, __rela_iplt_end[] WEAK_HIDDEN;
extern char __rel_iplt_start[] WEAK_HIDDEN;
extern int __start_items[], __stop_items[];
extern int __start_none[] __attribute__((weak)), __stop_none[] __attribute__((weak));
extern void *_GLOBAL_OFFSET_TABLE_[] HIDDEN;

int initialized = 1;
int zeroed;
const char constant[] = "constant";
__attribute__((section("items"), used)) static int all_items[] = {1, 2, 3};

__attribute__((constructor)) static void first(void) { zeroed++; }
__attribute__((destructor)) static void last(void) { zeroed--; }

static int is_in(void (**start)(void), void (**stop)(void), void (*what)(void)) {
    int found = 0;
    for (; start < stop; start++)
        found += *start == what;
    return found;
}

int main(void) {
    char *code = (char *)main, *data = (char *)&initialized, *zero = (char *)&zeroed;
    printf("text %d %d %d %d\n", __executable_start < code, code < etext, etext == _etext, etext == __etext);
    printf("data %d %d %d %d\n", etext <= data, data < edata, edata == _edata, data_start == __data_start);
    printf("data %d\n", data_start <= data);
    printf("zeros %d %d %d %d\n", edata <= __bss_start, __bss_start <= zero, zero < end, end == _end);
    /* Here the header is that of all code in the process, and may be far below the program's. */
    printf("header %d\n", (char *)__ehdr_start <= __executable_start);
    printf("arrays %d %d %d\n", __preinit_array_start == __preinit_array_end,
           is_in(__init_array_start, __init_array_end, first), is_in(__fini_array_start, __fini_array_end, last));
    printf("relocations %d %d\n", __rela_iplt_start == __rela_iplt_end, __rel_iplt_start != NULL);
    printf("sections %d %d\n", (int)(__stop_items - __start_items), __start_none == __stop_none);
#ifdef __PIC__
    /* Elsewhere, assemblers take the name for the distance to it. */
    printf("table %d\n", (char *)_GLOBAL_OFFSET_TABLE_ > code);
#endif
    return constant[0] != 'c' || all_items[0] != 1;
}
