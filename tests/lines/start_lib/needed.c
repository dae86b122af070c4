int deeper(void);
int needed(void) { return deeper() + 1; }
