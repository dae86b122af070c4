//# cpu: x86-64, these relocations are its own
//# modes: few
// Sizes of symbols, here and of another object, with addends (`R_X86_64_SIZE32`, `SIZE64`).
#include <stdint.h>
#include <stdio.h>
extern const uint32_t size_of_thing, size_of_there;
extern const uint64_t size_of_thing_and_one, size_of_function;
char there[1000] = "there";
int function(void);
int main(void) {
    printf("%u %u %lu %d\n", size_of_thing, size_of_there, (unsigned long)size_of_thing_and_one,
           size_of_function == 6);
    return function() - 5;
}
//--- sizes.S
    .data
    .globl size_of_thing, size_of_there, size_of_thing_and_one, size_of_function, function
size_of_thing: .long thing@SIZE
size_of_there: .long there@SIZE - 3
size_of_thing_and_one: .quad thing@SIZE + 1
size_of_function: .quad function@SIZE
thing: .skip 24
    .size thing, 24
    .type thing, @object
    .text
    .type function, @function
function:
    movl $5, %eax
    ret
    .size function, . - function
    .section .note.GNU-stack, "", @progbits
