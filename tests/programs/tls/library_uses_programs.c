//# flags: -pthread
//# shared: libuser.so = user.c
//# gap: a program's thread-locals are not exported to its libraries
// A shared library reads a thread-local that the program defines.
#include <pthread.h>
#include <stdio.h>

__thread int program_value = 17;
int library_read(void);
int *library_address(void);

static void *run(void *unused) {
    (void)unused;
    program_value++;
    return (void *)(long)(library_read() * 10 + (library_address() == &program_value));
}

int main(void) {
    pthread_t thread;
    void *result;
    pthread_create(&thread, 0, run, 0);
    pthread_join(thread, &result);
    printf("%ld %ld\n", (long)result, (long)run(0));
    return 0;
}
//--- user.c
extern __thread int program_value;
int library_read(void) { return program_value; }
int *library_address(void) { return &program_value; }
