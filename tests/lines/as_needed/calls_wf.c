int wf(void);

int uses(void) { return wf(); }
