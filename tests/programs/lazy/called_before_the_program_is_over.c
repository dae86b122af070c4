//# shared: libcalls.so = calls.c
// Functions are called first while the program is still being linked: from `.preinit_array`, by a constructor of
// a library, and by the resolver of an indirect function.
#include <stdio.h>

int early(int), chosen(int), started(void), order[8], calls;
static int from_preinit;

static void preinit(void) { from_preinit = early(3); }
__attribute__((section(".preinit_array"), used)) static void (*const entry)(void) = preinit;

int main(void) {
    printf("%d %d %d %d\n", from_preinit, started(), chosen(1), calls);
    return 0;
}
//--- early.c
#include <unistd.h>
int later(int);
extern int calls;
int early(int x) { calls++; return later(x) + (getpid() > 0); }
//--- later.c
#include <stdlib.h>
extern int calls;
int later(int x) { calls++; return 2 * abs(x); }
//--- chosen.c
int chooses(int);
static int one(int x) { return x + 1; }
static int other(int x) { return x + 2; }
static int (*resolve(void))(int) { return chooses(1) ? one : other; }
int chosen(int x) __attribute__((ifunc("resolve")));
//--- chooses.c
int chooses(int x) { return x == 1; }
//--- calls.c
int early(int);
static int got;
__attribute__((constructor)) static void start(void) { got = early(10); }
int started(void) { return got; }
