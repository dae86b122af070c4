// Code and data at a fixed place, which assembly refers to as a number.
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

int through_numbers(void);
int call_number(void);

static int answer(void) { return 35; }

int main(void) {
    unsigned char *page = mmap((void *)0x7ff00000, 4096, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (page != (void *)0x7ff00000)
        return 2;
    unsigned char code[] = {0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xe0}; /* mov $answer, %rax; jmp *%rax */
    int (*target)(void) = answer;
    memcpy(code + 2, &target, 8);
    memcpy(page + 16, code, sizeof code);
    page[0] = 7;
    if (mprotect(page, 4096, PROT_READ | PROT_EXEC))
        return 3;
    printf("%d %d\n", through_numbers(), call_number());
    return 0;
}
