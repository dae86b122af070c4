#include <stdio.h>

int wf(void);

int main(void) {
    printf("%d\n", wf());
    return 0;
}
