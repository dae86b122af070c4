#include <stdio.h>
void first(void) { puts("first"); }
void last(void) { puts("last"); }
__attribute__((constructor)) static void constructed(void) { puts("constructed"); }
__attribute__((destructor)) static void destroyed(void) { puts("destroyed"); }
int value(void) { return 3; }
