#include <limits.h>
#include <stdio.h>
int main(int argc, char **argv) {
    int large = INT_MAX;
    printf("%d\n", large + argc < 0);
    return 0;
}
