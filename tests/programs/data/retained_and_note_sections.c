//# modes: few
//# linux: sections have names of ELF
// Notes and comments of the object, and a retained section that nobody refers to.
#include <stdio.h>
__asm__(".section .note.mine,\"a\",%note\n.long 5,4,1\n.asciz \"Mine\"\n.p2align 2\n.long 42\n.text\n");
static int retained __attribute__((used, section("kept"))) = 77;
extern int __start_kept[], __stop_kept[];
int main(void) {
    printf("%d %d\n", (int)(__stop_kept - __start_kept), __start_kept[0]);
    return 0;
}
