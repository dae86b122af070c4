//# cpu: x86-64, its models alone have sections for large data
//# modes: medium large large-pic
//# flags: -mlarge-data-threshold=1000
// Large data (`.ldata`, `.lbss`, `.lrodata`), its commons, and far from it small data and code that
// 32-bit references reach.
#include <stdio.h>
long small = 3, small_zero;
long large[1000] = {1, 2, 3};
static char large_zero[1 << 20];
const long large_constant[500] = {7, [499] = 9};
long *const pointers[300] = {&large[2], [299] = &small};
extern char there_zero[1 << 22];
extern long there[1000];
long sum_there(const long *numbers);
int main(void) {
    large_zero[(1 << 20) - 1] = 5;
    there_zero[(1 << 22) - 1] = 6;
    small_zero += large_zero[(1 << 20) - 1] + there_zero[(1 << 22) - 1];
    printf("%ld %ld %ld %ld\n", large[2], large_constant[499], small, small_zero);
    printf("%ld %ld %ld\n", *pointers[0], *pointers[299], there[999]);
    printf("%ld\n", sum_there(large_constant));
    return 0;
}
//--- there.c
char there_zero[1 << 22];
long there[1000] = {[999] = 12};
extern long large[1000];
long sum_there(const long *numbers) { return numbers[0] + numbers[499] + large[1] + there[999]; }
