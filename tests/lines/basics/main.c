#include <stdio.h>
#include <stdlib.h>

int helper(int);

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++)
        printf("[%s]", argv[i]);
    const char *value = getenv("A_VARIABLE");
    printf(" %s %d\n", value ? value : "(unset)", helper(argc));
    return argc;
}
