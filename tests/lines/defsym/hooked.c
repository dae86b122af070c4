#include <stdio.h>
int calls_back(int);
int real_hook(int n) { return n * 10; }
int main(void) { printf("%d\n", calls_back(4)); return 0; }
