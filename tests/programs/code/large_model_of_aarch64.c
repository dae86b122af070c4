//# cpu: aarch64, the flags of its large model
//# flags: -mcmodel=large
//# modes: nopie
// Addresses in four pieces or from a pool of constants: data, functions, constants and thread-locals.
#include <stdio.h>
#include <stdlib.h>
static char large[100000] = "large";
static char large_zero[200000];
const char large_constant[70000] = "constant";
extern char there[90000];
__thread int counter = 5;
int function(const char *);
static int (*pointers[])(const char *) = {function, puts};
int main(void) {
    large_zero[199999] = 'z';
    pointers[1](large);
    pointers[1](large_constant);
    pointers[1](there);
    printf("%d %c %d\n", function(there), large_zero[199999], pointers[0]("abc"));
    counter += 2;
    printf("%d %d\n", counter, atoi("7"));
    return 0;
}
//--- there.c
#include <string.h>
char there[90000] = "there";
int function(const char *text) { return (int)strlen(text); }
