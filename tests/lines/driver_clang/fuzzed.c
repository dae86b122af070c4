#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 1 && data[0] == 'F' && data[1] == 'U') {
        puts("found");
        exit(5);
    }
    return 0;
}
