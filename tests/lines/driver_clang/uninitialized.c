#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(int count, char **names)
{
    char *block = malloc(10);
    strcpy(block, "heap");
    puts(block);
    fflush(stdout);
    if (count > 100) block[9] = names[0][0];
    if (block[8]) puts("set");
    return 0;
}
