#include <stdio.h>
volatile float small = 1e-38f;
int main(void)
{
    volatile float smaller = small / 1000.0f;
    printf("%s\n", smaller == 0.0f ? "flushed" : "kept");
    return 0;
}
