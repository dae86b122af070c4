/* Indirect functions of the program, and those of the C library. */
#include <stdio.h>
#include <string.h>

static int one(void) { return 1; }
static int (*resolve(void))(void) {
    __builtin_cpu_init();
    return one;
}
int chosen(void) __attribute__((ifunc("resolve")));
int (*through_data)(void) = chosen;

int main(void) {
    char text[200];
    memset(text, 'x', sizeof text);
    text[150] = 0;
    printf("%d %d %zu\n", chosen(), through_data(), strlen(text));
    return 0;
}
