#include <stdio.h>

int wf(void) __attribute__((weak, visibility("hidden")));
int foo(void);

int main(void) {
    int base = foo();
    printf("%d %d\n", base, wf ? wf() : 0);
    return 0;
}
