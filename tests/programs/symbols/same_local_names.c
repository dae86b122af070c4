//# modes: few sections
// Local symbols of one name in several objects are different things.
#include <stdio.h>
static int state = 1;
static int next(void) { return state++; }
int next_a(void), next_b(void);
int main(void) {
    int first = next(), a = next_a(), b = next_b(), second = next();
    printf("%d %d %d %d\n", first, a, b, second);
    return 0;
}
//--- a.c
static int state = 10;
static int next(void) { return state++; }
int next_a(void) { return next(); }
//--- b.c
static int state = 20;
static int next(void) { return state++; }
int next_b(void) { return next(); }
