//# cpu: aarch64, the flags of its tiny model
//# flags: -mcmodel=tiny -pthread
//# modes: one pic nopie
//# shared: libcounter.so = counter.c
// A program that lies within 1 MiB: its own thread-locals in each model, those of another object and of a library.
#include <pthread.h>
#include <stdio.h>
#define MODEL(name) __attribute__((tls_model(name)))
__thread int usual = 1;
static __thread int own = 2;
static __thread int exec MODEL("local-exec") = 3;
__thread int initial MODEL("initial-exec") = 4;
__thread int general MODEL("global-dynamic") = 5;
static __thread int local MODEL("local-dynamic") = 6;
extern __thread long there[3];
extern __thread int library_counter;
int library_increment(void);
long *address_there(void);
static void *run(void *number) {
    int n = (int)(long)number;
    usual += n;
    own += usual;
    exec += own;
    initial += exec;
    general += initial;
    local += general;
    there[1] += local;
    library_counter += n;
    printf("%d %d %d %d %d %d %ld\n", usual, own, exec, initial, general, local, *address_there());
    printf("%d %d\n", &there[1] == address_there(), library_increment());
    return 0;
}
int main(void) {
    pthread_t thread;
    run((void *)1);
    pthread_create(&thread, 0, run, (void *)2);
    pthread_join(thread, 0);
    return 0;
}
//--- there.c
__thread long there[3] = {10, 20, 30};
long *address_there(void) { return &there[1]; }
//--- counter.c
__thread int library_counter = 42;
int library_increment(void) { return ++library_counter; }
