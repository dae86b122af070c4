//# modes: few
// A reference to an old version of a libc function, by `.symver`.
#include <stdio.h>
#include <string.h>
void *old_memcpy(void *, const void *, size_t);
__asm__(".symver old_memcpy, memcpy@GLIBC_2.2.5");
int main(void) {
    char copy[6];
    old_memcpy(copy, "hello", 6);
    puts(copy);
    return 0;
}
