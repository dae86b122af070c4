// Code and constants cannot be written, data cannot be executed, and no page allows both.
//# modes: few
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
static sigjmp_buf jump;
static void handler(int number) { siglongjmp(jump, number); }
const int constant = 5;
static int data[4] = {0xc3c3c3c3};
void (*const relocated[])(void) = {(void (*)(void))puts};
__attribute__((noinline)) static int writes(const void *address) {
    if (sigsetjmp(jump, 1)) return 0;
    *(volatile char *)address = *(volatile char *)address;
    return 1;
}
static int executes(void *address) {
    if (sigsetjmp(jump, 1)) return 0;
    ((void (*)(void))address)();
    return 1;
}
int main(void) {
    signal(SIGSEGV, handler);
    printf("write: code %d, constants %d, relocated constants %d, data %d\n", writes((void *)main),
           writes(&constant), writes(relocated), writes(data));
    printf("execute: data %d\n", executes(data));
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[500];
    int both = 0;
    while (fgets(line, sizeof line, maps)) both += strstr(line, " rwx") != 0;
    printf("pages that allow both: %d\n", both);
    return 0;
}
