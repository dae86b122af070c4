//# modes: few noplt O2 sections
// Functions chosen at start: called, and pointed to by data, from two objects. (GNU ld gives such a
// function several addresses, so addresses are not compared.)
#include <stdio.h>
static int fast(int x) { return x * 2; }
static int slow(int x) { return x + x; }
static int (*choose(void))(int) { return sizeof(void *) == 8 ? fast : slow; }
int doubled(int) __attribute__((ifunc("choose")));
static int hidden_doubled(int) __attribute__((ifunc("choose")));
int call_elsewhere(int);
int (*address_elsewhere(void))(int);
int (*table[2])(int) = {doubled, hidden_doubled};
static const struct { const char *name; int (*function)(int); } entries[] = {{"doubled", doubled}};
int main(void) {
    printf("%d %d %d\n", doubled(21), hidden_doubled(4), call_elsewhere(8));
    printf("%d %d %d\n", table[0](5), table[1](6), entries[0].function(7));
    printf("%d\n", address_elsewhere()(10));
    return 0;
}
//--- other.c
int doubled(int);
int call_elsewhere(int x) { return doubled(x); }
int (*address_elsewhere(void))(int) { return doubled; }
