// Blocks that are reachable, in every place that a checker looks for pointers.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
char *kept;
static void *table[1000];
static __thread char *kept_by_thread;
int main(int argc, char **argv) {
    kept = strdup("kept");
    kept_by_thread = strdup("kept by the thread");
    for (int i = 0; i < 1000; i++) table[i] = malloc(i + 1);
    for (int i = 0; argc > 1 && i < 1000; i++) table[i] = 0;
    printf("%s\n", kept);
    return 0;
}
