#include <stdio.h>
int f(int), calls_itself(int);
int main(void) { printf("%d %d\n", f(1), calls_itself(1)); return 0; }
