//# archive: libone.a = one.c
//# archive: libtwo.a = two.c
//# link: main.o libtwo.a libone.a
// Two archives define the same function; here in the other order.
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
__attribute__((constructor)) static void construct(void) { puts("two is pulled"); }
int which(void) { return 2; }
