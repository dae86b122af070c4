#include <stdio.h>

int value(void) __attribute__((weak));

int main(int argc, char **argv) {
    printf("%d %s %d\n", argc, argc > 1 ? argv[1] : "-", value ? value() : 0);
    return argc;
}
