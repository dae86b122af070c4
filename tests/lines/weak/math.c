/* A weak reference to a library that is not there, and one to the C library, which always is. */
#include <stdio.h>

double j0(double) __attribute__((weak));
int getpagesize(void) __attribute__((weak));

int main(void) {
    printf("%d %d\n", j0 != 0, getpagesize != 0);
    return 0;
}
