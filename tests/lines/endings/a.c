#include <stdio.h>

__attribute__((constructor)) static void start(void) { puts("+a"); }
__attribute__((destructor)) static void end(void) { puts("-a"); }
