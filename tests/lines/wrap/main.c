#include <stdio.h>
int f(int);
int main(void) { printf("%d\n", f(1)); return 0; }
