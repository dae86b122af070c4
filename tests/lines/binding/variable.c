#include <stdio.h>

extern int shared;
int *where(void);

int main(void) {
    printf("%d %d\n", shared, where() == &shared);
    return 0;
}
