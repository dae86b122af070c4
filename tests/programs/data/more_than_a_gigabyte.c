//# modes: few medium
// More zeros than fit a range as it is opened mostly, which 32-bit references of all models reach.
#include <stdio.h>
static char big[1500000000];
char other[100];
extern char there[100000000];
char *last(void);
int main(int count, char **args) {
    big[count] = 7;
    big[sizeof big - 1] = 5;
    other[count] = 2;
    *last() = 3;
    printf("%d %d %d %d\n", big[1], big[sizeof big - 1], big[12345678], other[1]);
    printf("%d %d\n", there[sizeof there - 1], args[count] == 0);
    return 0;
}
//--- there.c
char there[100000000];
char *last(void) { return &there[sizeof there - 1]; }
