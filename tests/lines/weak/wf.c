int wd = 7;
int wf(void) { return 5; }
