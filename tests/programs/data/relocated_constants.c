//# modes: few large O2
// Tables of pointers into data, strings, functions, other objects and libraries, with addends.
#include <stdio.h>
#include <stdlib.h>
extern int array[10];
extern const char text[];
int function(int);
static int *const pointers[] = {array, array + 3, array + 9, &array[10]};
static const char *const texts[] = {"first", "second", text, text + 5};
static int (*const functions[])(int) = {function, abs, 0};
static const struct { void *self; const char *name; long number; } records[] = {
    {(void *)records, "zero", 0}, {(void *)&records[1], "one", -1}, {(void *)&pointers[2], "two", 1L << 40}};
extern const struct { int tag; const int *target; } table_elsewhere[2];
int main(void) {
    for (int i = 0; i < 3; i++) printf("%d ", *pointers[i]);
    printf("%d\n", (int)(pointers[3] - pointers[0]));
    for (int i = 0; i < 4; i++) printf("%s ", texts[i]);
    printf("\n%d %d %d\n", functions[0](4), functions[1](-6), functions[2] == 0);
    for (int i = 0; i < 3; i++) printf("%s %ld ", records[i].name, records[i].number);
    printf("%d %d %d\n", records[0].self == records, records[1].self == &records[1], records[2].self == (void *)&pointers[2]);
    printf("%d %d\n", table_elsewhere[1].tag, *table_elsewhere[1].target);
    return 0;
}
//--- there.c
int array[10] = {10, 11, 12, 13, 14, 15, 16, 17, 18, 19};
const char text[] = "text elsewhere";
int function(int x) { return x * x; }
static const int target = 99;
const struct { int tag; const int *target; } table_elsewhere[2] = {{1, 0}, {2, &target}};
