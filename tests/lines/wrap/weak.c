#include <stdio.h>
__attribute__((weak)) int g(void);
int main(void) { printf("%d\n", g ? g() : -1); return 0; }
