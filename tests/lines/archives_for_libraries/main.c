#include <stdio.h>

int plugin(void);

int main(void) {
    printf("%d\n", plugin());
    return 0;
}
