#include <stdio.h>
int foo(int n) { return n + 1000; }
int main(void) { printf("%d\n", foo(1)); return 0; }
