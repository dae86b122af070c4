/* A library that calls a function which nobody has. */
extern int missing(void);

int has(void) { return 1; }
int calls_missing(void) { return missing(); }
