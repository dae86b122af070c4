#include <stdio.h>

int indirect(void), calls_indirect(void);

int main(void) {
    printf("%d %d\n", calls_indirect(), indirect());
    return 0;
}
