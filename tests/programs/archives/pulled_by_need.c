//# archive: libparts.a = used.c unused.c chained.c
//# modes: few
#include <stdio.h>
int used(void);
int main(void) {
    printf("%d\n", used());
    return 0;
}
//--- used.c
int chained(void);
int used(void) { return chained() + 1; }
//--- unused.c
#include <stdio.h>
void missing_everywhere(void);
__attribute__((constructor)) static void construct(void) { puts("must not run"); }
void unused(void) { missing_everywhere(); }
//--- chained.c
int chained(void) { return 10; }
