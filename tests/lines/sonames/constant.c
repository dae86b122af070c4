/* A constant of a library that is copied stays one. */
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>

extern const int constant[2];
extern const int *const relocated;
extern int plain;
static sigjmp_buf back;

static void caught(int number) { siglongjmp(back, number); }

static int is_writable(void *place) {
    volatile int *at = place;
    if (sigsetjmp(back, 1)) return 0;
    *at = *at;
    return 1;
}

int main(void) {
    signal(SIGSEGV, caught);
    signal(SIGBUS, caught);
    printf("%d %d %d\n", constant[1], *relocated, plain);
    printf("%d %d %d\n", is_writable((void *)constant), is_writable((void *)&relocated), is_writable(&plain));
    return 0;
}
