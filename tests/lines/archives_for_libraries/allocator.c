/* An allocator that counts, in an archive. */
#include <stddef.h>
#include <stdio.h>

static char memory[1 << 20];
static size_t used;

void *malloc(size_t size) {
    void *place = memory + used;
    used += (size + 15) & ~(size_t)15;
    return place;
}

void free(void *place) { (void)place; }

void *calloc(size_t count, size_t size) { return malloc(count * size); }

void *realloc(void *place, size_t size) {
    char *to = malloc(size);
    for (size_t i = 0; place && i < size; i++) to[i] = ((char *)place)[i];
    return to;
}

int is_mine(void *place) { return (char *)place >= memory && (char *)place < memory + sizeof memory; }
