// What the process has mapped: nothing that is named like an input of the link.
#include <stdio.h>
#include <string.h>
int main(void) {
    FILE *file = fopen("/proc/self/maps", "r");
    char line[4096];
    int inputs = 0;
    while (fgets(line, sizeof line, file))
        if (strstr(line, ".a\n") || strstr(line, ".o\n")) inputs++;
    printf("%d\n", inputs);
    return 0;
}
