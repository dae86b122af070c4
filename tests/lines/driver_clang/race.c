#include <pthread.h>
#include <stdio.h>
int shared;
static void *write_it(void *unused) { shared++; return unused; }
int main(void)
{
    pthread_t thread;
    pthread_create(&thread, 0, write_it, 0);
    shared++;
    pthread_join(thread, 0);
    puts("done");
    return 0;
}
