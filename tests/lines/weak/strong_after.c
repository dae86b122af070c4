int wf(void);

int needs(void) { return wf(); }
int (*keeps_needs)(void) = needs;
