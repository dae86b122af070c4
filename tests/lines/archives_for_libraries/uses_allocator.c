#include <stdio.h>

void *allocate(void);
int is_mine(void *) __attribute__((weak));

int main(void) {
    void *place = allocate();
    printf("%s\n", is_mine && is_mine(place) ? "the archive's" : "the C library's");
    return 0;
}
