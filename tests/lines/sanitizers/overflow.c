#include <stdio.h>
#include <stdlib.h>
int main(int argc, char **argv) {
    char *block = malloc(10);
    int at = argc > 1 ? atoi(argv[1]) : 0;
    printf("before\n");
    fflush(stdout);
    block[at] = 1;
    printf("after %d\n", block[at]);
    free(block);
    return 0;
}
