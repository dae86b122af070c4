//# flags: -fopenmp
//# libs: -lgomp
//# compilers: gcc
//# modes: few O2
//# linux: omp.h is not there for macOS
#include <omp.h>
#include <stdio.h>
static int private_count;
#pragma omp threadprivate(private_count)
int main(void) {
    long sum = 0;
    omp_set_num_threads(4);
#pragma omp parallel for reduction(+ : sum)
    for (int i = 0; i < 100000; i++) {
        sum += i;
        private_count++;
    }
    int total = 0;
#pragma omp parallel reduction(+ : total)
    total += private_count;
    printf("%ld %d\n", sum, total);
    return 0;
}
