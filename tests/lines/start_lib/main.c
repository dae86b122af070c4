#include <stdio.h>
int needed(void);
__attribute__((weak)) int weakly(void);
int main(void) { printf("%d %d\n", needed(), weakly ? weakly() : -1); return 0; }
