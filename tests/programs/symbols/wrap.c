//# modes: few
//# archive: libparts.a = wrapped_too.c member.c
//# native: -Wl,--wrap=malloc -Wl,--wrap,counted -Wl,--wrap -Wl,member
//# jit: --wrap=malloc -Wl,--wrap,counted -Wl,--wrap -Wl,member
// `--wrap`: references to a name mean __wrap_NAME, references to __real_NAME mean the name, in
// objects and in archives' members. Where an object defines what it refers to, nothing changes.
#include <stdio.h>
#include <stdlib.h>
void *__real_malloc(size_t);
static int allocations;
void *__wrap_malloc(size_t size) {
    allocations++;
    return __real_malloc(size);
}
int counted(int), inside(int), __real_counted(int);
int __wrap_counted(int x) { return 1000 + __real_counted(x); }
int __wrap_member(int), member(int);
int (*volatile pointer)(int) = counted;
int main(void) {
    void *volatile memory = malloc(3);
    free(memory);
    memory = calloc(1, 1);
    free(memory);
    printf("%d\n", allocations);
    printf("%d %d %d %d\n", counted(1), inside(2), pointer(3), pointer == __wrap_counted);
    printf("%d %d %d\n", __wrap_member(4), member(4), __real_counted(5));
    return 0;
}
//--- counted.c
int counted(int x) { return x; }
int inside(int x) { return counted(x); }
//--- wrapped_too.c
#include <stdlib.h>
int __real_member(int), counted(int);
int __wrap_member(int x) {
    int *volatile copy = malloc(sizeof *copy);
    *copy = counted(x) + __real_member(x);
    x = *copy;
    free(copy);
    return x;
}
//--- member.c
int member(int x) { return 10000 * x; }
