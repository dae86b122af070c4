/* A second object, which wants it from the program itself. */
extern int wf(void) __attribute__((weak, visibility("hidden")));

int another(void) { return wf ? wf() : 0; }
int (*keeps_another)(void) = another;
