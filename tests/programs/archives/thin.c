//# build: mkdir -p parts && mv a.o b.o parts && ar rcT libthin.a parts/a.o parts/b.o
//# build: ar rc libfat.a c.o && ar rcT libouter.a libfat.a d.o
//# link: main.o libthin.a libouter.a
// Thin archives, which name files instead of holding them; one of them has an archive in it.
#include <stdio.h>
int a(void), c(void), d(void);
int main(void) {
    printf("%d %d %d\n", a(), c(), d());
    return 0;
}
//--- a.c
int b(void);
int a(void) { return b() + 1; }
//--- b.c
int b(void) { return 10; }
//--- c.c
int c(void) { return 3; }
//--- d.c
int d(void) { return 4; }
