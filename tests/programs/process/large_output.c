//# modes: one
#include <stdio.h>
int main(void) {
    for (int i = 0; i < 100000; i++) printf("%d\n", i * i);
    return 0;
}
