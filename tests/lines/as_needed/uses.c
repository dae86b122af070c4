#include <stdio.h>

int uses(void);

int main(void) {
    printf("%d\n", uses());
    return 0;
}
