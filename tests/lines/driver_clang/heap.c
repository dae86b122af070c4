#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static void *in_thread(void *unused)
{
    char text[100];
    strcpy(text, "thread");
    puts(text);
    return unused;
}
int main(int count, char **names)
{
    char text[64];
    snprintf(text, sizeof text, "%d %s", count, count > 1 ? names[1] : "-");
    puts(text);
    char *block = malloc(10);
    strcpy(block, "heap");
    puts(block);
    free(block);
    pthread_t thread;
    pthread_create(&thread, 0, in_thread, 0);
    pthread_join(thread, 0);
    return 3;
}
