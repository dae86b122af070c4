#include <stdio.h>
int nowhere(void);
__attribute__((constructor)) static void here(void) { puts("unneeded is here"); }
int weakly(void) { return nowhere(); }
