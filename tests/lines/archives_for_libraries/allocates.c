#include <stdlib.h>

void *allocate(void) { return malloc(20); }
