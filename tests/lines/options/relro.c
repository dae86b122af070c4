#include <stdio.h>
extern int printf(const char *, ...);
int (*const pointers[])(const char *, ...) __attribute__((section(".data.rel.ro"))) = {printf};
int main(void) {
    *(volatile long *)pointers = 5;
    printf("written: %ld\n", *(long *)pointers);
    return 0;
}
