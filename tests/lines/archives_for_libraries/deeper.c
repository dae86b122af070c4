int more(void);

int deeper(void) { return more(); }
