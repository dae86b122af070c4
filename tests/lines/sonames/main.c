#include <stdio.h>

int which(void);

int main(void) {
    printf("%d\n", which());
    return 0;
}
