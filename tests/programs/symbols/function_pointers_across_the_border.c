//# modes: few nopie debug noplt large
//# shared: libcompare.so = compare.c
// A function has one address, whoever takes it: the program, a library, or dlsym.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int library_function(int);
int is_library_function(int (*)(int));
int is_puts(int (*)(const char *));
int is_program_function(int (*)(void));
int program_function(void) { return 3; }
static int (*const table[])(int) = {library_function, abs};
int main(void) {
    printf("%d %d\n", is_library_function(library_function), is_puts(puts));
    printf("%d %d\n", is_library_function(table[0]), is_program_function(program_function));
    printf("%d %d\n", table[0](4), table[1](-4));
    printf("%d\n", (void *)library_function == dlsym(RTLD_DEFAULT, "library_function"));
    int (*volatile compare)(const char *, const char *) = strcmp;
    printf("%d\n", compare("a", "a"));
    return 0;
}
//--- compare.c
#include <stdio.h>
int program_function(void);
int library_function(int x) { return x + 1; }
int is_library_function(int (*f)(int)) { return f == library_function; }
int is_puts(int (*f)(const char *)) { return f == puts; }
int is_program_function(int (*f)(void)) { return f == program_function; }
