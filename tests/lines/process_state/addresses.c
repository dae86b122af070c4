// Without -pie, a program lies at the same addresses each time.
#include <stdio.h>
#include <string.h>
#include <unistd.h>
int variable;
int main(int argc, char **argv) {
    char now[64];
    snprintf(now, sizeof now, "%p %p", (void *)main, (void *)&variable);
    if (argc < 2) return execl("/proc/self/exe", argv[0], now, (char *)0);
    printf("%d\n", !strcmp(now, argv[1]));
    return 0;
}
