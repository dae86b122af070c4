#include <stdio.h>
__attribute__((constructor)) static void here(void) { puts("deeper is here"); }
int deeper(void) { return 41; }
