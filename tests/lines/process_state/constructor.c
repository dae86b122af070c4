#include <stdio.h>
#include <string.h>
extern char **environ;
__attribute__((constructor)) static void constructor(int argc, char **argv, char **environment) {
    printf("constructor: %d", argc);
    for (int i = 1; i < argc; i++) printf(" %s", argv[i]);
    printf(" %d %d\n", argv[argc] == 0, environment == environ);
    fflush(stdout);
}
int constructed(void) { return 1; }
