// damage OUT KIND NAME FIELD VALUE: a copy of main.o with one field changed.
//
//   damage o.o header - e_shnum 0
//   damage o.o section .text sh_name 99
//   damage o.o symbol main st_value 99
//   damage o.o content .group +4 99          four bytes at an offset
//   damage o.o end .strtab +1 65             one byte that far before the end
#include <elf.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct field {
    const char *name;
    size_t at, size;
};
#define FIELD(type, name) {#name, offsetof(type, name), sizeof(((type *)0)->name)}
static const struct field fields[] = {
    FIELD(Elf64_Ehdr, e_shnum),    FIELD(Elf64_Ehdr, e_shoff),     FIELD(Elf64_Ehdr, e_shstrndx),
    FIELD(Elf64_Ehdr, e_shentsize), FIELD(Elf64_Shdr, sh_name),    FIELD(Elf64_Shdr, sh_type),
    FIELD(Elf64_Shdr, sh_flags),   FIELD(Elf64_Shdr, sh_offset),   FIELD(Elf64_Shdr, sh_size),
    FIELD(Elf64_Shdr, sh_link),    FIELD(Elf64_Shdr, sh_info),     FIELD(Elf64_Shdr, sh_addralign),
    FIELD(Elf64_Shdr, sh_entsize), FIELD(Elf64_Sym, st_name),      FIELD(Elf64_Sym, st_info),
    FIELD(Elf64_Sym, st_shndx),    FIELD(Elf64_Sym, st_value),
};
static char file[1 << 20];

static void fail(const char *what) {
    fprintf(stderr, "damage: %s\n", what);
    exit(1);
}

static size_t place(const char *kind, const char *name, const char *offset) {
    Elf64_Ehdr *header = (Elf64_Ehdr *)file;
    Elf64_Shdr *sections = (Elf64_Shdr *)(file + header->e_shoff);
    const char *names = file + sections[header->e_shstrndx].sh_offset;
    if (!strcmp(kind, "header"))
        return 0;
    for (int i = 1; i < header->e_shnum; i++) {
        Elf64_Shdr *section = sections + i;
        if (!strcmp(kind, "symbol") && section->sh_type == SHT_SYMTAB) {
            const char *strings = file + sections[section->sh_link].sh_offset;
            for (size_t at = 0; at < section->sh_size; at += sizeof(Elf64_Sym))
                if (!strcmp(strings + ((Elf64_Sym *)(file + section->sh_offset + at))->st_name, name))
                    return section->sh_offset + at;
        }
        if (strcmp(names + section->sh_name, name))
            continue;
        if (!strcmp(kind, "section"))
            return header->e_shoff + i * sizeof *section;
        if (!strcmp(kind, "content"))
            return section->sh_offset + strtoul(offset, 0, 0);
        if (!strcmp(kind, "end"))
            return section->sh_offset + section->sh_size - strtoul(offset, 0, 0);
    }
    fail(name);
    return 0;
}

int main(int argc, char **argv) {
    if (argc != 6)
        fail("five arguments");
    FILE *in = fopen("main.o", "rb"), *out = fopen(argv[1], "wb");
    if (!in || !out)
        fail("no file");
    size_t size = fread(file, 1, sizeof file, in);
    size_t at = place(argv[2], argv[3], argv[4]), width = argv[2][0] == 'e' ? 1 : 4;
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (!strcmp(fields[i].name, argv[4])) {
            at += fields[i].at;
            width = fields[i].size;
        }
    unsigned long value = strtoul(argv[5], 0, 0);
    memcpy(file + at, &value, width);
    return fwrite(file, 1, size, out) != size || fclose(out);
}
