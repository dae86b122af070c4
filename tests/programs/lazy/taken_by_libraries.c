//# shared: libtakes.so = library.c
// What a library takes from the program is there while the library is loaded: functions and variables of
// objects that the program itself refers to for functions only, an allocator among them.
#include <stdio.h>
#include <stdlib.h>
int from_library(void);
int other(int);
int main(void) {
    free(malloc(10));
    printf("%d %d\n", from_library(), other(1));
    return 0;
}
//--- callback.c
int noted = 7;
int callback(int x) { return x + noted; }
int other(int x) { return x + 1; }
//--- allocator.c
#include <stddef.h>
static _Alignas(16) char room[1 << 20];
static size_t used;
void *malloc(size_t size) {
    used = (used + 15) & ~(size_t)15;
    void *block = room + used;
    used += size;
    return used > sizeof room ? NULL : block;
}
void free(void *block) { (void)block; }
void *calloc(size_t count, size_t size) { return malloc(count * size); }
void *realloc(void *old, size_t size) {
    char *block = malloc(size);
    for (size_t at = 0; old && block && at < size; at++) block[at] = ((char *)old)[at];
    return block;
}
//--- library.c
int callback(int);
extern int noted;
static int started;
__attribute__((constructor)) static void start(void) { started = callback(1) + noted; }
int from_library(void) { return started; }
