#include <stdio.h>
__attribute__((constructor)) static void begin(void) { puts("begin first"); }
__attribute__((destructor)) static void end(void) { puts("end first"); }
