/* A variable that is copied into the program. */
#include <stdio.h>

extern int number;
extern const char *const text;
int which(void);

int main(void) {
    printf("%d %d %s\n", which(), number, text);
    return 0;
}
