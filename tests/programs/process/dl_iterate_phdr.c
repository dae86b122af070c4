// Somebody who walks the loaded objects finds the one that holds the program's code, data and
// frame table.
//# modes: few
#define _GNU_SOURCE
#include <link.h>
#include <stdio.h>
#include <string.h>
struct found { int code, data, frame_table, objects; };
static int data = 1;
int main(void);
static int visit(struct dl_phdr_info *info, size_t size, void *argument) {
    struct found *found = argument;
    (void)size;
    found->objects++;
    int code = 0, frames = 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        ElfW(Addr) start = info->dlpi_addr + header->p_vaddr, end = start + header->p_memsz;
        if (header->p_type == PT_LOAD) {
            code |= (ElfW(Addr))main >= start && (ElfW(Addr))main < end;
            found->data |= (ElfW(Addr))&data >= start && (ElfW(Addr))&data < end;
        }
        frames |= header->p_type == PT_GNU_EH_FRAME;
    }
    found->code += code;
    found->frame_table |= code && frames;
    return 0;
}
int main(void) {
    struct found found = {0};
    dl_iterate_phdr(visit, &found);
    printf("%d %d %d %d\n", found.code, found.data, found.frame_table, found.objects > 2);
    return 0;
}
