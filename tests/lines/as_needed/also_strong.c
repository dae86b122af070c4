int other(void);

int needs_other(void) { return other(); }
int (*keep)(void) = needs_other;
