#include <stdio.h>

__attribute__((destructor(300))) static void early(void) { puts("destructor 300"); }
__attribute__((destructor)) static void plain(void) { puts("destructor alone"); }
