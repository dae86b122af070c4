//# link: start.o libmain.a
//# archive: libmain.a = main.c unused.c
// Even `main` may come from an archive.
#include <stdio.h>
int helper(void);
int main(void) {
    printf("main from the archive %d\n", helper());
    return 0;
}
//--- start.c
int helper(void) { return 4; }
//--- unused.c
int unused(void) { return 0; }
