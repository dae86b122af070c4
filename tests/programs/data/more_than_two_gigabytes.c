//# cpu: x86-64, no model of another CPU has data that far away
//# modes: models
// More than 32-bit references reach: what large models are for. In the large one it is plain `.bss`.
#include <stdio.h>
char big[2300000000ul];
static char own[2200000000ul];
long table[30000] = {1, 2, 3, [29999] = 4};
char small[100];
extern char there[2200000000ul];
char *last(void);
long *const pointer = &table[29999];
char *const into_zeros = &own[2100000000ul];
int main(int count, char **args) {
    big[count] = 7;
    big[sizeof big - 1] = 5;
    own[sizeof own - 1] = 9;
    small[count] = 2;
    *into_zeros = 11;
    *last() = 3;
    printf("%d %d %d %d\n", big[1], big[sizeof big - 1], big[1ul << 31], own[sizeof own - 1]);
    printf("%ld %ld %d %d\n", table[2], *pointer, own[2100000000ul], small[1]);
    printf("%d %d\n", there[sizeof there - 1], args[count] == 0);
    return 0;
}
//--- there.c
char there[2200000000ul];
char *last(void) { return &there[sizeof there - 1]; }
