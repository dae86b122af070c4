//# archive: liball.a = a.c b.c
// An object's definition keeps an archive's member out, but not the members it needs otherwise.
#include <stdio.h>
int replaced(void) { return 100; }
int other(void);
int main(void) {
    printf("%d %d\n", replaced(), other());
    return 0;
}
//--- a.c
#include <stdio.h>
__attribute__((constructor)) static void construct(void) { puts("must not run"); }
int replaced(void) { return 1; }
//--- b.c
int replaced(void);
int other(void) { return replaced() + 1; }
