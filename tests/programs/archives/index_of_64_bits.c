//# needs: llvm-ar-22
//# build: SYM64_THRESHOLD=0 llvm-ar-22 --format=gnu rcs lib64.a a.o b.o
//# build: head -c 16 lib64.a | grep -q SYM64
//# build: llvm-ar-22 --format=bsd rcs libbsd.a c.o && head -c 80 libbsd.a | grep -q SYMDEF
//# native: -fuse-ld=lld
//# compilers: clang
//# link: main.o lib64.a libbsd.a
// Archives with an index of 64-bit offsets, as those beyond 4 GiB have it, and with BSD's index.
#include <stdio.h>
int a(void), c(void);
int main(void) {
    printf("%d %d\n", a(), c());
    return 0;
}
//--- a.c
int b(void);
int a(void) { return b() + 1; }
//--- b.c
int b(void) { return 10; }
//--- c.c
int c(void) { return 4; }
