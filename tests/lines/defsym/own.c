/* Defines what a definition on the command line gives another value. */
#include <stdio.h>
int foo(int n) { return n + 100; }
int uses(int n) { return foo(n); }
__attribute__((noinline)) int bar(int n) { return n + 7; }
int main(void) { printf("%d %d\n", uses(1), foo(2)); return 0; }
