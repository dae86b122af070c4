/* A second object with the same reference. */
extern int wf(void) __attribute__((weak));

int another(void) { return wf ? wf() : 0; }
int (*keeps_another)(void) = another;
