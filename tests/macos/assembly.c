// What only assembly has in objects for macOS: other entries of functions, what stays whatever refers to it, numbers as
// symbols, lists of finalizers and of strings, a field that two bytes follow.
#include <stdio.h>

int from_start(int value), from_inside(int value);
extern char number[];
extern const char *const words[2];
extern short field;
void set_field(void);
void at_end(void) { puts("the end"); }

#ifdef __APPLE__
__asm__(".text\n"
        ".globl _from_start, _from_inside, _set_field, _number\n"
        ".p2align 4\n"
#ifdef __x86_64__
        "_from_start: addl $100, %edi\n"
        ".alt_entry _from_inside\n"
        "_from_inside: leal 1(%rdi), %eax\n"
        "retq\n"
        "_set_field: movw $0x1234, _field(%rip)\n"
        "retq\n"
#else
        "_from_start: add w0, w0, #100\n"
        ".alt_entry _from_inside\n"
        "_from_inside: add w0, w0, #1\n"
        "ret\n"
        "_set_field: adrp x8, _field@PAGE\n"
        "mov w9, #0x1234\n"
        "strh w9, [x8, _field@PAGEOFF]\n"
        "ret\n"
#endif
        "_number = 4321\n"
        ".data\n"
        ".no_dead_strip _kept\n"
        "_kept: .quad 7\n"
        ".globl _field\n"
        ".p2align 1\n"
        "_field: .short 0\n"
        ".cstring\n"
        "L_first: .asciz \"first\"\n"
        "L_second: .asciz \"second\"\n"
        ".section __DATA,__words,literal_pointers\n"
        ".globl _words\n"
        ".p2align 3\n"
        "_words: .quad L_first\n"
        ".quad L_second\n"
        ".section __DATA,__mod_term_func,mod_term_funcs\n"
        ".p2align 3\n"
        ".quad _at_end\n");
#else
int from_inside(int value) { return value + 1; }
int from_start(int value) { return from_inside(value + 100); }
void set_field(void) { field = 0x1234; }
short field;
const char *const words[2] = {"first", "second"};
__asm__(".globl number\n.set number, 4321\n");
__attribute__((destructor)) static void end(void) { at_end(); }
#endif

// The address of a number is out of reach of code; data has it.
char *volatile pointer_to_number = number;

int main(void) {
    printf("%d %d\n", from_start(5), from_inside(5));
    printf("%ld %s %s\n", (long)pointer_to_number, words[0], words[1]);
    set_field();
    printf("%x\n", field);
    const unsigned short *volatile wide = u"wide";
    printf("%c%c\n", wide[0], wide[3]);
}
