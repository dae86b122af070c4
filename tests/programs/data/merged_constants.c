//# modes: one O2 pic
//# libs: -lm
// Mergeable constants of 4, 8 and 16 bytes, the same ones in two objects.
#include <math.h>
#include <stdio.h>
typedef float four __attribute__((vector_size(16)));
double there(double x);
four add_there(four x);
int main(int argc, char **argv) {
    double x = argc;
    four v = {x, x, x, x};
    v = add_there(v * (four){1.5f, 2.5f, 3.5f, 4.5f});
    printf("%g %g\n", x * 3.25 + 0.125, there(x));
    printf("%g %g %g\n", v[0], v[3], fabs(-x) + fabsf((float)-x));
    return 0;
}
//--- there.c
typedef float four __attribute__((vector_size(16)));
double there(double x) { return -(x * 3.25 + 0.125); }
four add_there(four x) { return x + (four){1.5f, 2.5f, 3.5f, 4.5f}; }
