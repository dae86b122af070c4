//# modes: few nopie debug large
//# shared: libdata.so = data.c
// Data of libraries that non-PIC code addresses directly: stdout, environ, and a library's own.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
extern char **environ;
extern int library_int;
extern const char library_text[12];
extern int *library_pointer;
void library_increment(void);
int main(void) {
    fprintf(stdout, "to stdout\n");
    fputs(library_text, stdout);
    fputc('\n', stdout);
    library_increment();
    printf("%d\n", library_int);
    library_int = 50;
    library_increment();
    printf("%d %d\n", library_int, library_pointer == &library_int);
    setenv("ADDED_BY_THE_PROGRAM", "yes", 1);
    int found = 0;
    for (char **variable = environ; *variable; variable++) found += !strcmp(*variable, "ADDED_BY_THE_PROGRAM=yes");
    printf("%d %d\n", found, optind);
    return 0;
}
//--- data.c
int library_int = 5;
const char library_text[12] = "a constant";
int *library_pointer = &library_int;
void library_increment(void) { library_int++; }
