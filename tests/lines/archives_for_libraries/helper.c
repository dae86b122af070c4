#ifndef VALUE
#define VALUE 40
#endif
int helper(void) { return VALUE; }
