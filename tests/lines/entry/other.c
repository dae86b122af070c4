#include <stdio.h>
#include <unistd.h>
int main(void) { puts("main"); return 0; }
__attribute__((used)) static void begin(long *stack) { printf("%ld arguments\n", stack[0]); fflush(stdout); _exit(7); }
__asm__(".globl other_start\nother_start: mov %rsp, %rdi\n and $-16, %rsp\n call begin\n hlt\n");
