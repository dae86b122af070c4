//# modes: one nopie
//# args: plain --flag -- --after-dashes -x
//# env: FROM_THE_HARNESS=set
//# stdin: first line\nsecond line\n
//# linux: the variables are of glibc
// Arguments, environment, standard input and the names a program goes by.
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
extern char **environ;
int main(int argc, char **argv, char **environment) {
    printf("%d\n", argc);
    for (int i = 1; i < argc; i++) printf("%d: %s\n", i, argv[i]);
    printf("%d %d\n", argv[argc] == 0, argv[0] && argv[0][0]);
    const char *slash = strrchr(argv[0], '/');
    printf("%d %d\n", !strcmp(program_invocation_name, argv[0]),
           !strcmp(program_invocation_short_name, slash ? slash + 1 : argv[0]));
    printf("%s %d\n", getenv("FROM_THE_HARNESS"), environment == environ);
    char line[100];
    while (fgets(line, sizeof line, stdin)) printf("read %s", line);
    printf("%d\n", feof(stdin));
    return 0;
}
