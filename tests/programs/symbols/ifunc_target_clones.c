//# cpu: x86-64, gcc 12 has clones for few CPUs
//# compilers: gcc
//# modes: few O2
// Clones for several CPUs, chosen by a resolver in libgcc's terms (`__cpu_model`).
#include <stdio.h>
__attribute__((target_clones("avx2", "sse4.2", "default"))) int sum(const int *numbers, int count) {
    int total = 0;
    for (int i = 0; i < count; i++) total += numbers[i];
    return total;
}
int main(void) {
    int numbers[100];
    for (int i = 0; i < 100; i++) numbers[i] = i;
    printf("%d\n", sum(numbers, 100));
    return 0;
}
