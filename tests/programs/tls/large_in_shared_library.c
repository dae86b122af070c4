//# modes: few
//# shared: libbig.so = library.c
// Thread-locals of a library at fixed offsets: more than the loader keeps free for libraries that are
// opened later.
#include <stdio.h>
extern _Thread_local int exported;
int *where(void);
char *large(void);
int main(void) {
    exported++;
    large()[199999]++;
    printf("%d %d %d %d\n", exported, &exported == where(), large()[0], large()[199999]);
    return 0;
}
//--- library.c
static _Thread_local char many[200000] = {1};
_Thread_local int exported = 7;
int *where(void) { return &exported; }
char *large(void) { return many; }
