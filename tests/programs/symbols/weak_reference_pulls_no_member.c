//# archive: liboptional.a = optional.c needed.c
// A weak reference alone does not pull an archive's member.
#include <stdio.h>
extern int optional(void) __attribute__((weak));
int needed(void);
int main(void) {
    printf("%d %d\n", needed(), optional != 0);
    return 0;
}
//--- optional.c
int optional(void) { return 1; }
//--- needed.c
int needed(void) { return 2; }
