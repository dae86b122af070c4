//# modes: few nopie
//# shared: libneedy.so = needy.c
// A shared library whose undefined symbols only the program can supply, also in its constructor.
#include <stdio.h>
int supplied = 12;
int supply(int x) { return x * 3; }
int use(void);
int at_load(void);
int main(void) {
    printf("%d %d\n", use(), at_load());
    return 0;
}
//--- needy.c
extern int supplied;
int supply(int);
static int seen;
__attribute__((constructor)) static void construct(void) { seen = supply(supplied); }
int use(void) { return supply(supplied) + 1; }
int at_load(void) { return seen; }
