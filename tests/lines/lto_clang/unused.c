int nowhere(void);
int unused(void) { return nowhere(); }
