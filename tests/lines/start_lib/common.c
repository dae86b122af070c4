#include <stdio.h>
int needed(void) { return 5; }
int shared_value;
__attribute__((constructor)) static void tell(void) { printf("%d\n", shared_value); }
