#include <stdio.h>

/* What may be there. */
int wf(void) __attribute__((weak));
extern int wd __attribute__((weak));

int main(void) {
    printf("%d %d\n", wf ? wf() : 0, &wd ? wd : 0);
    return 0;
}
