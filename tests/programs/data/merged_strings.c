//# modes: few O2
// Strings in mergeable sections, with pointers into their middle and wide ones.
#include <stdio.h>
#include <string.h>
#include <wchar.h>
const char *elsewhere(int);
const wchar_t *wide(void);
static const char *volatile tail = "a long string with a tail" + 14;
static const double constants[] = {1.5, 2.5};
int main(void) {
    const char *mine[] = {"alpha", "beta", "a long string with a tail", ""};
    for (int i = 0; i < 4; i++) printf("%d ", strcmp(mine[i], elsewhere(i)));
    printf("%s %d %d\n", tail, wcscmp(wide(), L"wide text"), (int)(constants[1] * 4));
    return 0;
}
//--- elsewhere.c
#include <wchar.h>
const char *elsewhere(int i) {
    static const char *const strings[] = {"alpha", "beta", "a long string with a tail", ""};
    return strings[i];
}
const wchar_t *wide(void) { return L"wide text"; }
