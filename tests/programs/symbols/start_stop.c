//# modes: few sections O2
//# archive: libplugins.a = c.c
//# linux: sections have names of ELF
// `__start_` and `__stop_` bound what every object put in a section.
#include <stdio.h>
struct entry { const char *name; int value; };
#define ENTRY(n, v) static const struct entry n __attribute__((used, section("entries"))) = {#n, v}
ENTRY(first, 1);
ENTRY(second, 2);
extern const struct entry __start_entries[], __stop_entries[];
extern const char __start_missing_one[] __attribute__((weak)), __stop_missing_one[] __attribute__((weak));
int pull(void);
int main(void) {
    int total = 0;
    for (const struct entry *e = __start_entries; e != __stop_entries; e++) total += e->value;
    printf("%d entries, total %d, first %s\n", (int)(__stop_entries - __start_entries), total, __start_entries->name);
    printf("%d %d\n", __start_missing_one == 0, pull());
    return 0;
}
//--- b.c
struct entry { const char *name; int value; };
static const struct entry third __attribute__((used, section("entries"))) = {"third", 30};
//--- c.c
struct entry { const char *name; int value; };
static const struct entry fourth __attribute__((used, section("entries"))) = {"fourth", 400};
int pull(void) { return 5; }
