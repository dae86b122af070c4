#include <stdio.h>
int from_c(void);
int main(void) {
    printf("%d\n", from_c());
    return 0;
}
