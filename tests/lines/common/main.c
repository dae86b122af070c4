#include <stdio.h>

int block[4];
long get(void);
void set(long);

int main(void) {
    int before = block[1];
    block[1] = 50;
    long seen = get();
    set(60);
    printf("%d %ld %d\n", before, seen, block[1]);
    return 0;
}
