/* Memory from the heap, which may be moved, and from elsewhere. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void) {
    static char *pieces[3000];
    long sum = 0;
    for (int i = 0; i < 3000; i++) {
        pieces[i] = malloc(i * 7 % 5000 + 1);
        pieces[i][0] = (char)i;
    }
    for (int i = 0; i < 3000; i += 2) free(pieces[i]);
    char *large = malloc(20 << 20);
    memset(large, 3, 20 << 20);
    for (int i = 1; i < 3000; i += 2) sum += (unsigned char)pieces[i][0];
    printf("%ld %d\n", sum, large[15 << 20]);
    free(large);
    return 0;
}
