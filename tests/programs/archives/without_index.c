//# native: -fuse-ld=mold
//# build: ar rcS libnone.a a.o b.o
//# link: main.o libnone.a
// An archive without an index.
#include <stdio.h>
int a(void);
int main(void) {
    printf("%d\n", a());
    return 0;
}
//--- a.c
int b(void);
int a(void) { return b() + 1; }
//--- b.c
int b(void) { return 10; }
