//# modes: few
// The program's own malloc is what libc and every library call.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static _Alignas(16) char arena[1 << 22];
static size_t used;
static int allocations, releases;
void *malloc(size_t size) {
    size_t at = (used + 15) / 16 * 16 + 16;
    if (at + size > sizeof arena) return 0;
    *(size_t *)(arena + at - 16) = size;
    used = at + size;
    allocations++;
    return arena + at;
}
void free(void *pointer) { releases += pointer != 0; }
void *calloc(size_t count, size_t size) {
    void *result = malloc(count * size);
    return result ? memset(result, 0, count * size) : 0;
}
void *realloc(void *old, size_t size) {
    void *result = malloc(size);
    if (old && result) {
        size_t before = *(size_t *)((char *)old - 16);
        memcpy(result, old, before < size ? before : size);
    }
    return result;
}
static int in_arena(void *pointer) { return (char *)pointer >= arena && (char *)pointer < arena + sizeof arena; }
int main(void) {
    char *copy = strdup("duplicated by libc");
    char *formatted;
    if (asprintf(&formatted, "%s %d", copy, 5) < 0) return 1;
    int before = releases;
    printf("%s: %d %d\n", formatted, in_arena(copy), in_arena(formatted));
    free(copy);
    free(formatted);
    printf("%d %d\n", allocations > 0, releases - before);
    return 0;
}
