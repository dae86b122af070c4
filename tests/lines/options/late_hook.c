#include <stdio.h>
void from_archive(void) { puts("from the archive"); }
