#include <stdio.h>
__attribute__((weak)) extern char maybe[];
int main(void) { printf("%d\n", (int)(long)maybe); return 0; }
