//# flags: -fcommon
//# archive: libdefines.a = defines.c
// A common symbol in an object and a definition in an archive's member that is pulled for another reason.
#include <stdio.h>
int value;
int pull(void);
int main(void) {
    printf("%d %d\n", pull(), value);
    return 0;
}
//--- defines.c
int value = 33;
int pull(void) { return 1; }
