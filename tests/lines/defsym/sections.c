/* Prints distances that are the same wherever the program lies. */
#include <stdio.h>
__attribute__((section("mine"), used)) int pieces[5] = {1, 2, 3, 4, 5};
extern char size[], distance[], start[];
extern int __start_mine[];
int main(void) {
    printf("%ld %ld %d\n", (long)size, (long)distance, (char *)start == (char *)__start_mine);
    return 0;
}
