//# archive: libeven.a = even.c
//# archive: libodd.a = odd.c
//# link: main.o libeven.a libodd.a libeven.a
#include <stdio.h>
int even(int);
int main(void) {
    printf("%d %d\n", even(10), even(7));
    return 0;
}
//--- even.c
int odd(int);
int even(int x) { return x == 0 ? 1 : odd(x - 1); }
//--- odd.c
int even(int);
int odd(int x) { return x == 0 ? 0 : even(x - 1); }
