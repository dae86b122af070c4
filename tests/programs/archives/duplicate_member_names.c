//# build: mkdir -p one two && mv a.o one/x.o && mv b.o two/x.o && ar qc libsame.a one/x.o two/x.o && ar s libsame.a
//# build: mv c.o one/y.o && mv d.o two/y.o && ar qc libwhole.a one/y.o two/y.o && ar s libwhole.a
//# link: main.o libsame.a -Wl,--whole-archive libwhole.a -Wl,--no-whole-archive
// Members of the same name are different members, also where all of them are linked.
#include <stdio.h>
int a(void), b(void);
int registered;
int main(void) {
    printf("%d %d %d\n", a(), b(), registered);
    return 0;
}
//--- a.c
int a(void) { return 1; }
//--- b.c
int b(void) { return 2; }
//--- c.c
extern int registered;
__attribute__((constructor)) static void construct(void) { registered += 1; }
//--- d.c
extern int registered;
__attribute__((constructor)) static void construct(void) { registered += 10; }
