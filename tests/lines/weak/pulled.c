#include <stdio.h>

int pulled = 1;
__attribute__((constructor)) static void here(void) { puts("pulled"); }
