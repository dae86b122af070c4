#include <stdio.h>
int value(void), uses_value(void);
int main(void) { printf("%d %d\n", value(), uses_value()); return 0; }
