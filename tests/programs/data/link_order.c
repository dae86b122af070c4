//# compilers: clang
//# modes: one sections
//# flags: -fpatchable-function-entry=2
//# native: -Wl,--gc-sections
// Sections that describe others (`SHF_LINK_ORDER`), found by the bounds of their section: they live
// and lie as what they describe does.
#include <stdint.h>
#include <stdio.h>
extern const uintptr_t __start___patchable_function_entries[], __stop___patchable_function_entries[];
int used(int x) { return x + 1; }
int never_used(int x) { return x + 2; }
int main(void) {
    const uintptr_t *from = __start___patchable_function_entries, *to = __stop___patchable_function_entries;
    int sorted = 1, found = 0;
    for (const uintptr_t *entry = from; entry < to; entry++) {
        sorted &= entry == from || entry[-1] < entry[0];
        found += *entry == (uintptr_t)used || *entry == (uintptr_t)main;
    }
    printf("%d %d %d\n", used(1), sorted, found);
    return 0;
}
