//# modes: default pic
//# linux: versions of symbols are of ELF
// `name@@VERSION` defined by the program itself answers references to `name`.
#include <stdio.h>
int implementation(void) { return 5; }
__asm__(".symver implementation, interface@@PROGRAM_1.0");
int interface(void);
int call(void);
int main(void) {
    printf("%d\n", call());
    return 0;
}
//--- call.c
int interface(void);
int call(void) { return interface(); }
