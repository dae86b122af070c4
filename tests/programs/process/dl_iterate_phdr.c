//# linux: link.h is of ELF
// Somebody who walks the loaded objects finds the one that holds the program's code, data and
// frame table. Segments with the write flag hold all data, as a garbage collector expects, and no
// code; all of them can be read.
//# modes: few
#define _GNU_SOURCE
#include <link.h>
#include <stdio.h>
#include <string.h>
struct found { int code, data, frame_table, objects; };
static int data = 1, zeros[100000], sum;
static void *pointer = &pointer;
static int covers(ElfW(Addr) start, ElfW(Addr) end, void *address) {
    return (ElfW(Addr))address >= start && (ElfW(Addr))address < end;
}
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
            if (!(header->p_flags & PF_W)) continue;
            code -= 2 * covers(start, end, main);
            found->data += covers(start, end, &data) + covers(start, end, &pointer) +
                           covers(start, end, zeros) + covers(start, end, zeros + 99999);
            for (char *byte = (char *)start; byte < (char *)end; byte += 64) sum += *byte;
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
