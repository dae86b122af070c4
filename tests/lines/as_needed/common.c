#include <stdio.h>

int wd;

int main(void) {
    printf("%d\n", wd);
    return 0;
}
