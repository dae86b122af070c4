#include <stdio.h>

int other(void) {
    puts("other");
    return 3;
}
