#include <limits.h>
#include <stdio.h>
int main(int count, char **names)
{
    int large = INT_MAX;
    large += count;
    printf("%d %s\n", large, count > 1 ? names[1] : "-");
    return 0;
}
