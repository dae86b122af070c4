/* Old programs declare what the C library defines. */
#include <stdio.h>

char **environ;
int opterr;

int main(void) {
    printf("%d %d\n", environ != 0 && environ[0] != 0, opterr);
    return 0;
}
