//# modes: one nopie
// Distances in fields of 64 bits (`R_X86_64_PC64`): to data, to code, to another object, backwards.
#include <stdint.h>
#include <stdio.h>
extern const int64_t to_here, to_there, to_code, backwards;
extern char here[];
char there[8];
int code(void) { return 1; }
static int leads(const int64_t *from, const void *to) { return (const char *)from + *from == (const char *)to; }
int main(void) {
    printf("%d %d %d %d\n", leads(&to_here, here), leads(&to_there, there + 4), leads(&to_code, (void *)code),
           leads(&backwards, here - 16));
    return 0;
}
//--- distances.S
    .section .rodata.distances, "a", %progbits
    .globl to_here, to_there, to_code, backwards, here
to_here: .quad here - .
to_there: .quad there + 4 - .
to_code: .quad code - .
backwards: .quad here - 16 - .
    .data
here: .quad 0
    .section .note.GNU-stack, "", %progbits
