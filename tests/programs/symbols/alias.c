//# modes: few O2 sections
//# linux: macOS has no aliases
// Several names for one place: aliases, weak aliases, and names set by `asm`.
#include <stdio.h>
int original(void) { return 7; }
int alias(void) __attribute__((alias("original")));
int weak_alias(void) __attribute__((weak, alias("original")));
static int local_target(void) { return 8; }
int alias_of_local(void) __attribute__((alias("local_target")));
int data[4] = {1, 2, 3, 4};
extern int data_alias[4] __attribute__((alias("data")));
int renamed(void) __asm__("name.with.dots_and$dollars");
int call_renamed(void);
int renamed(void) { return 9; }
int weak_alias_elsewhere(void);
int main(void) {
    printf("%d %d %d %d\n", alias(), weak_alias(), alias_of_local(), call_renamed());
    printf("%d %d\n", alias == original, data_alias == data && data_alias[3] == 4);
    printf("%d\n", weak_alias_elsewhere());
    return 0;
}
//--- other.c
int weak_alias(void);
int renamed(void) __asm__("name.with.dots_and$dollars");
int call_renamed(void) { return renamed(); }
int weak_alias_elsewhere(void) { return weak_alias() + 100; }
