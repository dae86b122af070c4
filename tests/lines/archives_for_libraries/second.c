/* Takes more from an archive: a name that another library needs. */
int deeper(void);

int helper(void) { return deeper() + 5; }
