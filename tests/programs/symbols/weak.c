//# modes: few noplt
// Weak definitions give way to strong ones, wherever they are; weak references may stay unresolved.
#include <stdio.h>
__attribute__((weak)) int overridden(void) { return 1; }
__attribute__((weak)) int kept(void) { return 2; }
__attribute__((weak)) int overridden_data = 3;
extern int missing(void) __attribute__((weak));
extern int missing_data __attribute__((weak));
extern int present(void) __attribute__((weak));
int call_overridden(void);
int main(void) {
    printf("%d %d %d %d\n", overridden(), kept(), overridden_data, call_overridden());
    printf("%d %d %d\n", missing != 0, &missing_data != 0, present != 0 ? present() : -1);
    int (*volatile pointer)(void) = missing;
    printf("%d\n", pointer == 0);
    return 0;
}
//--- strong.c
int overridden(void) { return 10; }
int overridden_data = 30;
__attribute__((weak)) int kept(void) { return 20; }
int present(void) { return 50; }
int call_overridden(void) { return overridden() + kept(); }
