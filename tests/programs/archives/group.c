//# archive: libeven.a = even.c even2.c
//# archive: libodd.a = odd.c
//# link: main.o -Wl,--start-group libeven.a libodd.a -Wl,--end-group
// Archives that need each other, grouped as for a linker that reads each archive once.
#include <stdio.h>
int even(int);
int main(void) {
    printf("%d %d\n", even(10), even(7));
    return 0;
}
//--- even.c
int odd(int);
int even(int x) { return x == 0 ? 1 : odd(x - 1); }
//--- even2.c
int even(int);
int even2(int x) { return even(x); }
//--- odd.c
int even2(int);
int odd(int x) { return x == 0 ? 0 : even2(x - 1); }
