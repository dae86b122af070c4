/* References in data, which the loader resolves. */
#include <stdio.h>

extern int wf(void) __attribute__((weak));
int (*function)(void) = wf;
int foo(void);

int main(void) {
    int base = foo();
    printf("%d %d\n", base, function ? function() : 0);
    return 0;
}
