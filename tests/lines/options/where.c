/* Whether the program lies below 2 GiB. */
#include <stdint.h>
#include <stdio.h>

int main(void) {
    printf("%d\n", (uintptr_t)main < 1u << 31);
    return 0;
}
