//# archive: libown.a = archived.c
//# link: main.o other.o libown.a
// Functions with names of the C library's that are adapted: those of the program, and of one of its archives.
#include <stdio.h>
extern int strlcpy(char *text, int a, int b);
extern void warn(int number, const char *text);
extern int lstat(int number);
int main(void) {
    warn(7, "own");
    printf("%d %d\n", strlcpy("x", 2, 3), lstat(4));
    return 0;
}
