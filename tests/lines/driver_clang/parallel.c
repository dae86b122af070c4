#include <omp.h>
#include <stdio.h>
int main(void)
{
    int sum = 0;
#pragma omp parallel for reduction(+ : sum)
    for (int i = 0; i < 1000; i++) sum += i;
    printf("%d %d\n", sum, omp_get_max_threads() > 0);
    return 0;
}
