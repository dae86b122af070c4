//# libs: -lm
//# modes: few
#include <complex.h>
#include <math.h>
#include <stdio.h>
int main(void) {
    volatile double x = 0.5;
    volatile long double wide = 2;
    double complex z = x + 2 * I;
    printf("%.6f %.6f %.6f %.10Lf %.6f\n", sin(x), pow(x, 3), fma(x, x, x), sqrtl(wide), cabs(z));
    printf("%d %s\n", signgam != 12345, isnan(sqrt(-x)) ? "nan" : "number");
    return 0;
}
