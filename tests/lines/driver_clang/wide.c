#include <stdio.h>
int main(int count, char **names)
{
    __int128 wide = (__int128)count << 90;
    wide /= 7;
    printf("%d\n", (int)(wide >> 64));
    return names[0] == 0;
}
