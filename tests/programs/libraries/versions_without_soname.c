//# modes: one
//# build: echo 'V1 {}; V2 {} V1;' > versions && for d in one two; do mkdir -p $d && $CC -shared -fPIC -Wl,--version-script=versions -o $d/libversions.so $d.c; done
//# link: main.o ./one/libversions.so ./two/libversions.so
// Shared libraries without a name of their own, both called the same in two directories: one that
// defines versions is needed by the path it was linked by.
#include <stdio.h>
int f(void), old_f(void), g(void);
__asm__(".symver old_f, f@V1");
int main(void) {
    printf("%d %d %d\n", f(), old_f(), g());
    return 0;
}
//--- one.c
int first(void) { return 1; }
int second(void) { return 2; }
__asm__(".symver first, f@V1");
__asm__(".symver second, f@@V2");
//--- two.c
int third(void) { return 3; }
__asm__(".symver third, g@@V1");
