#include <elf.h>
#include <link.h>
#include <stdio.h>
#include <string.h>

#ifndef HOW
#define HOW
#endif

extern ElfW(Dyn) _DYNAMIC[] HOW;

int main(void) {
    ElfW(Dyn) *volatile first = _DYNAMIC;
    if (!first) {
        puts("none");
        return 0;
    }
    struct r_debug *debug = NULL;
    for (ElfW(Dyn) *entry = first; entry->d_tag != DT_NULL; entry++)
        if (entry->d_tag == DT_DEBUG)
            debug = (struct r_debug *)entry->d_un.d_ptr;
    if (!debug) {
        puts("no list");
        return 1;
    }
#ifdef LIST_ONLY
    puts("a list");
#else
    int libc = 0;
    for (struct link_map *map = debug->r_map; map; map = map->l_next)
        libc += strstr(map->l_name, "/libc.so.6") != NULL;
    printf("%d %d %d\n", debug->r_version > 0, debug->r_state == RT_CONSISTENT, libc);
#endif
    return 0;
}
