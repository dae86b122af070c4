#include <math.h>
#include <stdio.h>

int plain(void);

int main(int argc, char **argv) {
    (void)argv;
    printf("%d %g\n", plain(), sqrt(argc * 4.0));
    return 0;
}
