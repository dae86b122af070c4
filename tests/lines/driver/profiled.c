/* Writes a profile (-pg): a child ends, and its parent looks at what it has left. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char __executable_start, etext;
static volatile unsigned long sum;

__attribute__((noinline)) void leaf(void) {
    for (int i = 0; i < 50; i++) sum += i;
}
__attribute__((noinline)) void caller(void) {
    for (int i = 0; i < 1000; i++) leaf();
}

static unsigned long word(const char *at) {
    unsigned long word;
    memcpy(&word, at, sizeof word);
    return word;
}

int main(void) {
    static char file[1 << 20];
    unlink("gmon.out");
    pid_t child = fork();
    if (child == 0) {
        caller();
        exit(0);
    }
    waitpid(child, NULL, 0);
    FILE *profile = fopen("gmon.out", "r");
    if (!profile) return 1;
    size_t size = fread(file, 1, sizeof file, profile);
    unsigned int buckets = 0, count;
    unsigned long low = word(file + 21), high = word(file + 29);
    memcpy(&buckets, file + 37, sizeof buckets);
    printf("%.4s %d %d\n", file, file[4], file[20]);
    /* All code has room, and not much more. */
    printf("%d %d\n", high - low >= (unsigned long)(&etext - (char *)main), high - low < 1 << 22);
    for (size_t at = 20 + 1 + 40 + 2ul * buckets; at + 21 <= size; at += 21) {
        unsigned long self = word(file + at + 9) - low;
        long distance = (long)self - (long)((char *)leaf - &__executable_start);
        memcpy(&count, file + at + 17, sizeof count);
        if (distance > -64 && distance < 64 && count > 1) printf("leaf %u\n", count);
    }
    return 0;
}
