int shared = 7;
int *where(void) { return &shared; }
