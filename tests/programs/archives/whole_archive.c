//# archive: libplugins.a = a.c b.c
//# archive: libother.a = c.c
//# link: main.o -Wl,--whole-archive libplugins.a -Wl,--no-whole-archive libother.a
// Members that nothing refers to are linked, and register themselves.
#include <stdio.h>
int registered;
int main(void) {
    printf("%d\n", registered);
    return 0;
}
//--- a.c
extern int registered;
__attribute__((constructor)) static void construct(void) { registered += 1; }
//--- b.c
extern int registered;
__attribute__((constructor)) static void construct(void) { registered += 10; }
//--- c.c
extern int registered;
__attribute__((constructor)) static void construct(void) { registered += 100; }
