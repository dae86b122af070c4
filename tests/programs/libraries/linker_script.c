//# modes: few
//# build: mkdir -p below && ar rcs below/libregisters.a registers.o && ar rcs libused.a used.o
//# link: main.o parts.ld parts.ld
//# native: -no-pie
// A linker script in place of an object, named twice: files, directories for `-l`, symbols that are
// numbers, names to search archives for. `ENTRY` names what calls `main`.
#include <stdio.h>
extern char amount[];
int used(void);
int main(void) {
    printf("%lu %d\n", (unsigned long)amount, used());
    return 0;
}
//--- parts.ld
/* GNU ld script */
ENTRY(_start)
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
