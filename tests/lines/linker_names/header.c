/* Programs find their program headers through what is at their start. */
#include <elf.h>
#include <link.h>
#include <stdio.h>
#include <string.h>

extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

int main(void) {
    const ElfW(Ehdr) *header = &__ehdr_start;
    if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0) {
        puts("no header");
        return 1;
    }
    const ElfW(Phdr) *segments = (const void *)((const char *)header + header->e_phoff);
    int loaded = 0;
    for (int at = 0; at < header->e_phnum; at++)
        loaded += segments[at].p_type == PT_LOAD;
    printf("%d %d %d\n", header->e_machine == EM_X86_64, header->e_phentsize == sizeof(ElfW(Phdr)), loaded > 0);
    return 0;
}
