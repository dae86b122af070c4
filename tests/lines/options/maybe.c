#include <stdio.h>
extern char nowhere[];
int main(void) { printf("%d\n", (int)(long)nowhere); return 0; }
