#include <stdio.h>
int value(void);
int main(void) { printf("main %d\n", value()); return 0; }
