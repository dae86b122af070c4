//# archive: libone.a = one.c
//# archive: libtwo.a = two.c
//# link: main.o libone.a libtwo.a
// Two archives define the same function; the first in order supplies it, the other is not pulled.
#include <stdio.h>
int which(void);
int main(void) {
    printf("%d\n", which());
    return 0;
}
//--- one.c
int which(void) { return 1; }
//--- two.c
#include <stdio.h>
__attribute__((constructor)) static void construct(void) { puts("two must not be pulled"); }
int which(void) { return 2; }
