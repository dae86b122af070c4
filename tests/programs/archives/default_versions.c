//# modes: few
//# archive: libversions.a = old.c new.c
//# linux: versions of symbols are of ELF
// Members define versions of a name. A plain reference means the default one, whatever the index calls it.
#include <stdio.h>
int answer(void);
int main(void) {
    printf("%d\n", answer());
    return 0;
}
//--- old.c
int answer_of_old(void) { return 1; }
__asm__(".symver answer_of_old, answer@V1");
//--- new.c
int answer_of_new(void) { return 2; }
__asm__(".symver answer_of_new, answer@@V2");
