#include <elf.h>
#include <link.h>

extern ElfW(Dyn) _DYNAMIC[];

/* The library's own table, whatever the program has. */
ElfW(Dyn) *of_library(void) { return _DYNAMIC; }
