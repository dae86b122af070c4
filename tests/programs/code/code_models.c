//# modes: models few
// Far data, near data, functions and strings in every code model.
#include <stdio.h>
#include <stdlib.h>
static char large[100000] = "large";
static char large_zero[200000];
const char large_constant[70000] = "constant";
extern char there[90000];
int function(const char *);
static int (*pointers[])(const char *) = {function, puts};
int main(void) {
    large_zero[199999] = 'z';
    pointers[1](large);
    pointers[1](large_constant);
    pointers[1](there);
    printf("%d %c %d\n", function(there), large_zero[199999], pointers[0]("abc"));
    return 0;
}
//--- there.c
#include <string.h>
char there[90000] = "there";
int function(const char *text) { return (int)strlen(text); }
