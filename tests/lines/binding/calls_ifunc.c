int indirect(void);
int calls_indirect(void) { return indirect(); }
