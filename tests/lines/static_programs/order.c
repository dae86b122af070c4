/* Initializers and finalizers in their order. */
#include <stdio.h>

static void first(void) { puts("before all"); }
__attribute__((section(".preinit_array"), used)) static void (*before_all)(void) = first;
__attribute__((constructor(200))) static void second(void) { puts("200"); }
__attribute__((constructor(101))) static void earlier(void) { puts("101"); }
__attribute__((constructor)) static void plain(void) { puts("plain"); }
__attribute__((destructor)) static void plain_end(void) { puts("plain end"); }
__attribute__((destructor(101))) static void last(void) { puts("101 end"); }
__asm__(".section .init,\"ax\",@progbits\n call in_init\n .text");
void in_init(void) { puts("in .init"); }

int main(void) {
    puts("main");
    return 0;
}
