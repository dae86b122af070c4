#include <elf.h>
#include <link.h>
#include <stdio.h>

extern ElfW(Dyn) _DYNAMIC[];
ElfW(Dyn) *of_library(void);

int main(void) {
    int symbols = 0;
    for (ElfW(Dyn) *entry = of_library(); entry->d_tag != DT_NULL; entry++)
        symbols += entry->d_tag == DT_SYMTAB;
    printf("%d %d\n", of_library() != _DYNAMIC, symbols);
    return 0;
}
