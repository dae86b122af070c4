/* A library that is only loaded with a program. */
#include <stdio.h>

int count;
int value(void) { return 20; }
__attribute__((constructor)) static void begin(void) {
    puts("begin");
    count = 1;
}
__attribute__((destructor)) static void end(void) { puts("end"); }
