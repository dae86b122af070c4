//# modes: few sections O2
//# linux: macOS knows priorities within one object alone
// Functions marked constructor and destructor, with and without priorities, in two objects.
#include <stdio.h>
#include <stdlib.h>
#define SAY(name) puts(name)
__attribute__((constructor)) static void c1(void) { SAY("constructor main"); }
__attribute__((constructor(101))) static void c2(void) { SAY("constructor main 101"); }
__attribute__((constructor(1000))) static void c3(void) { SAY("constructor main 1000"); }
__attribute__((destructor)) static void d1(void) { SAY("destructor main"); }
__attribute__((destructor(101))) static void d2(void) { SAY("destructor main 101"); }
__attribute__((destructor(1000))) static void d3(void) { SAY("destructor main 1000"); }
static void at_exit(void) { SAY("atexit"); }
int main(void) {
    atexit(at_exit);
    SAY("main");
    return 0;
}
//--- other.c
#include <stdio.h>
__attribute__((constructor)) static void c1(void) { puts("constructor other"); }
__attribute__((constructor(500))) static void c2(void) { puts("constructor other 500"); }
__attribute__((destructor)) static void d1(void) { puts("destructor other"); }
__attribute__((destructor(500))) static void d2(void) { puts("destructor other 500"); }
__attribute__((constructor, destructor)) static void both(void) { puts("both"); }
