#include <stdio.h>

int has(void);
int calls_missing(void);

int main(int argc, char **argv) {
    (void)argv;
    printf("%d\n", has());
    fflush(stdout);
    return argc > 1 ? calls_missing() : 0;
}
