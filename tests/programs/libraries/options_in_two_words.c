//# cpu: x86-64, GNU ld for AArch64 refuses the name of a library's symbol in `--defsym`
//# modes: one
//# build: mkdir -p place && $CC -shared -fPIC -Wl,-soname,libplace.so -o place/libplace.so placed.c
//# archive: libpart.a = part.c
//# link: main.o -Wl,-L -Wl,place -Wl,-l -Wl,place libpart.a
//# native: -Wl,-rpath -Wl,place -Wl,-z -Wl,now -Wl,-Map -Wl,x.map -Wl,-soname -Wl,x -Wl,--defsym -Wl,answer=placed -Wl,-u -Xlinker part -Xlinker -e -Wl,_start,-z -Wl,relro
//# jit: -Wl,-rpath -Wl,place -Wl,-z -Wl,now -Wl,-Map -Wl,x.map -Wl,-soname -Wl,x -Wl,--defsym -Wl,answer=placed -Wl,-u -Xlinker part -Xlinker -e -Wl,main,-z -Wl,relro -rpath . -R.
// Options of the linker whose value stands in the next `-Wl,`, as libtool writes them.
#include <stdio.h>
int placed(int), answer(int);
int main(void) {
    printf("%d %d\n", placed(3), answer(4));
    return 0;
}
//--- placed.c
int placed(int x) { return x * 5; }
//--- part.c
#include <stdio.h>
__attribute__((constructor)) static void construct(void) { puts("part"); }
int part;
