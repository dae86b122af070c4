//# flags: -fcommon
//# modes: few
//# archive: libfirst.a = tentative.c
//# archive: libsecond.a = block_data.c needed_by_it.c unrelated.c
// A common symbol pulls the member that defines it with a value (Fortran's BLOCK DATA), and what that
// needs; not one where it is common, too, and not one for a name that is defined already.
#include <stdio.h>
int table[4];
int defined_here = 5;
int nowhere_else[2];
int main(void) {
    printf("%d %d %d\n", table[1], defined_here, nowhere_else[1]);
    return 0;
}
//--- tentative.c
#include <stdio.h>
int table[8];
__attribute__((constructor)) static void construct(void) { puts("must not run"); }
//--- block_data.c
extern int needed;
int table[4] = {1, 2, 3, 4};
int *keeps = &needed;
__attribute__((constructor)) static void construct(void) { needed++; }
//--- needed_by_it.c
#include <stdio.h>
int needed = 1;
__attribute__((destructor)) static void tell(void) { printf("needed %d\n", needed); }
//--- unrelated.c
#include <stdio.h>
int defined_here = 6;
__attribute__((constructor)) static void construct(void) { puts("must not run either"); }
