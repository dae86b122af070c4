//# modes: default nopie pic
// A thread-local that exists, declared weak. (A missing one has no portable meaning.)
#include <stdio.h>
extern __thread int defined __attribute__((weak));
int main(void) {
    printf("%d %d\n", &defined != 0, defined);
    return 0;
}
//--- defined.c
__thread int defined = 3;
