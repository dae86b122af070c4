//# archive: libpick.a = pick.c use.c
//# modes: few noplt
// A function chosen at start, defined in an archive: called, pointed to by data, and used by its
// own object and by another member.
#include <stdio.h>
extern int pick(int);
int use(int), (*table[])(int) = {pick, use};
int (*pointer_there(void))(int);
int main(void) {
    printf("%d %d %d %d\n", pick(1), use(2), table[0](3), pointer_there()(4));
    return 0;
}
//--- pick.c
static int version;
static int one(int x) { return x + 100 + version; }
static int (*resolve(void))(int) { return one; }
int pick(int) __attribute__((ifunc("resolve")));
static int (*const kept)(int) = pick;
int (*pointer_there(void))(int) { return kept; }
//--- use.c
int pick(int);
int use(int x) { return pick(x) * 2; }
