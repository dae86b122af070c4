/* Says that it is there. */
#include <stdio.h>

int wd = 7;
int wf(void) { return 5; }
int other(void) { return 6; }
__attribute__((constructor)) static void here(void) { puts("libw is here"); }
