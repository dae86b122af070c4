#include <pthread.h>
#include <stdio.h>
int shared, written;
static void *write_it(void *unused)
{
    shared++;
    /* Orders nothing, but both accesses at once could hide each other. */
    __atomic_store_n(&written, 1, __ATOMIC_RELAXED);
    return unused;
}
int main(void)
{
    pthread_t thread;
    pthread_create(&thread, 0, write_it, 0);
    while (!__atomic_load_n(&written, __ATOMIC_RELAXED))
        continue;
    shared++;
    pthread_join(thread, 0);
    puts("done");
    return 0;
}
