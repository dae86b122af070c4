#include <stdio.h>

int through(void);

int main(void) {
    printf("%d\n", through());
    return 0;
}
