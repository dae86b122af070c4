/* What a process starts with. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

extern char **environ;

int main(int argc, char **argv) {
    int variables = 0;
    for (char **entry = environ; *entry; entry++) variables += !strncmp(*entry, "PLAYER=", 7);
    for (int i = 1; i < argc; i++) printf("[%s] ", argv[i]);
    printf("%d %d %d\n", variables, errno, argv[argc] == NULL);
    printf("%ld %d\n", getauxval(AT_PAGESZ), getauxval(AT_BASE) == 0);
    printf("%d %d\n", getauxval(AT_RANDOM) != 0, getauxval(AT_PHNUM) > 0);
    return 0;
}
