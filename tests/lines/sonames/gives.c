/* What the library's dependency takes from the program. */
#include <stdio.h>

int through(void);
int which(void) { return 9; }

int main(void) {
    printf("%d\n", through());
    return 0;
}
