//# flags: -pthread
//# shared: libuser.so = user.c
//# libs: -ldl
//# native: -rdynamic
//# jit: -rdynamic
//# modes: all
// A shared library uses thread-locals that the program defines, at any offset and at fixed ones; so
// does a library that is opened later, and `dlsym` finds the calling thread's.
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

__thread int program_value = 17;
__thread int another_value = 4;
__thread char zero[40];
int library_read(void);
int *library_address(void);
int *address_at_fixed_offset(void);
int constructed_with(void);

static void *run(void *unused) {
    (void)unused;
    program_value++;
    printf("%d %d\n", library_read(), library_address() == &program_value);
    printf("%d\n", address_at_fixed_offset() == &another_value);
    printf("%d\n", dlsym(RTLD_DEFAULT, "zero") == (void *)zero);
    return 0;
}

int main(void) {
    pthread_t thread;
    pthread_create(&thread, 0, run, 0);
    pthread_join(thread, 0);
    run(0);
    printf("%d\n", constructed_with());
    return 0;
}
//--- user.c
extern __thread int program_value;
extern __thread int another_value __attribute__((tls_model("initial-exec")));
static int constructed;
__attribute__((constructor)) static void construct(void) { constructed = program_value; }
int constructed_with(void) { return constructed; }
int library_read(void) { return program_value; }
int *library_address(void) { return &program_value; }
int *address_at_fixed_offset(void) { return &another_value; }
