//# modes: few
//# linux: versions of symbols are of ELF
// A reference to an old version of a libc function, by `.symver`.
#include <stdio.h>
#include <string.h>
void *old_memcpy(void *, const void *, size_t);
#ifdef __x86_64__
__asm__(".symver old_memcpy, memcpy@GLIBC_2.2.5");
#else
__asm__(".symver old_memcpy, memcpy@GLIBC_2.17");
#endif
int main(void) {
    char copy[6];
    old_memcpy(copy, "hello", 6);
    puts(copy);
    return 0;
}
