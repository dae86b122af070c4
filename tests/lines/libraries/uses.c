#include <stdio.h>

int value(void);
extern int count;

__attribute__((constructor)) static void before(void) { printf("count is %d\n", count); }

int main(void) {
    printf("%d\n", value() + count);
    return 0;
}
