//# flags: -pthread
//# compilers: gcc
//# modes: few
//# linux: clang has no nested functions
// GNU C's nested functions, whose addresses are taken: their trampolines run on the stack, of the
// main thread and of threads that are made before and after.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
static int call(int (*function)(int), int argument) { return function(argument); }
static int through_libc(int sign) {
    int compare(const void *left, const void *right) { return sign * (*(const int *)left - *(const int *)right); }
    int numbers[] = {3, 1, 2};
    qsort(numbers, 3, sizeof *numbers, compare);
    return numbers[0];
}
static void *run(void *argument) {
    int base = *(int *)argument;
    int add(int number) { return base + number; }
    printf("%d %d\n", call(add, 1), through_libc(1));
    return 0;
}
int main(int argc, char **argv) {
    int add(int number) { return argc + number; }
    printf("%d %d\n", call(add, 5), through_libc(-1));
    pthread_t thread;
    pthread_create(&thread, 0, run, &argc);
    pthread_join(thread, 0);
    (void)argv;
    return 0;
}
