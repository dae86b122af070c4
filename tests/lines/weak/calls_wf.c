int wf(void);

int foo(void) { return wf() + 10; }
