#include <errno.h>
static int in_constructor = -1;
__attribute__((constructor)) static void constructor(void) { in_constructor = errno; }
int library_error(void) { return in_constructor; }
