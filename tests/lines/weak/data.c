#include <stdio.h>

extern int wd __attribute__((weak));
int foo(void);

int main(void) {
    int base = foo();
    printf("%d %d\n", base, &wd ? wd : 0);
    return 0;
}
