//# args: alpha beta
// glibc passes argc, argv and the environment to constructors as to main.
#include <stdio.h>
#include <string.h>
static int seen_argc;
static char **seen_argv, **seen_environment;
__attribute__((constructor)) static void construct(int argc, char **argv, char **environment) {
    seen_argc = argc;
    seen_argv = argv;
    seen_environment = environment;
}
int main(int argc, char **argv, char **environment) {
    printf("%d %d %d\n", seen_argc == argc, seen_argv == argv, seen_environment == environment);
    printf("%d %s %s %d\n", argc, argv[1], argv[2], argv[3] == 0);
    return 0;
}
