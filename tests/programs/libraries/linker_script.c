//# modes: few
//# build: mkdir -p below && ar rcs below/libregisters.a registers.o && ar rcs libused.a used.o
//# link: main.o parts.ld
//# native: -no-pie
// A linker script in place of an object: files, directories for `-l`, symbols that are numbers, names to
// search archives for, and where the program starts.
#include <stdio.h>
extern char amount[];
int used(void);
int other_main(void) {
    printf("%lu %d\n", (unsigned long)amount, used());
    return 0;
}
int main(void) { return other_main(); }
//--- parts.ld
/* GNU ld script */
SEARCH_DIR(below)
EXTERN(registered another_name)
amount = 0x40;
INPUT(libused.a -lregisters)
//--- used.c
int used(void) { return 7; }
//--- registers.c
#include <stdio.h>
int registered;
__attribute__((constructor)) static void construct(void) { puts("registered"); }
