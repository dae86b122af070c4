#include <elf.h>
#include <link.h>
#include <stdio.h>

extern ElfW(Dyn) _DYNAMIC[];

__asm__(".data\n.balign 8\nstored: .quad _DYNAMIC\n.text");

int main(void) {
    ElfW(Dyn) *near, *table, *stored;
    __asm__("leaq _DYNAMIC(%%rip), %0" : "=r"(near));
    __asm__("movq _DYNAMIC@GOTPCREL(%%rip), %0" : "=r"(table));
    __asm__("movq stored(%%rip), %0" : "=r"(stored));
#ifdef FIXED
    ElfW(Dyn) *low;
    __asm__("movl $_DYNAMIC, %k0" : "=r"(low));
    printf("%d\n", low == near);
#endif
    int debug = 0;
    for (ElfW(Dyn) *entry = near; entry->d_tag != DT_NULL; entry++)
        debug += entry->d_tag == DT_DEBUG && entry->d_un.d_ptr != 0;
    printf("%d %d %d\n", near == table, near == stored, debug);
    return near != _DYNAMIC;
}
