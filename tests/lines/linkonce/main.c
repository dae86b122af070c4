#include <stdio.h>
int shared(void);
int user(void);
int main(void) { printf("%d %d\n", shared(), user()); return 0; }
