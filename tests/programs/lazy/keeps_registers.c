//# modes: few
// What a function is called with is still there when it was linked at its first call: whole numbers, floating
// point, vectors with all their bits, arguments on the stack, and the address of a large result.
#include <stdarg.h>
#include <stdio.h>
typedef int vector __attribute__((vector_size(16)));
struct large { long numbers[5]; double half; };
struct parts { double a, b, c, d; };
long whole(long, long, long, long, long, long, long, long, long, long);
double floating(double, double, double, double, double, double, double, double, double);
vector vectors(vector, vector, vector, vector, vector, vector, vector, vector);
struct large result(long, double);
struct parts parts(struct parts, float);
int variable(const char *, ...);
static vector of(int n) { return (vector){n, n + 1, n + 2, n + 3}; }
int main(void) {
    printf("%ld\n", whole(1, 2, 3, 4, 5, 6, 7, 8, 9, 10));
    printf("%g\n", floating(.1, .2, .3, .4, .5, .6, .7, .8, .9));
    vector v = vectors(of(1), of(10), of(100), of(1000), of(10000), of(100000), of(1000000), of(10000000));
    printf("%d %d %d %d\n", v[0], v[1], v[2], v[3]);
    struct large l = result(7, 2.5);
    printf("%ld %ld %g\n", l.numbers[0], l.numbers[4], l.half);
    struct parts p = parts((struct parts){1, 2, 3, 4}, .5f);
    printf("%g %g %g %g\n", p.a, p.b, p.c, p.d);
    printf("%d\n", variable("idid", 1, 2.5, 3, 4.5));
    return 0;
}
//--- whole.c
long whole(long a, long b, long c, long d, long e, long f, long g, long h, long i, long j) {
    return a + 10 * (b + 10 * (c + 10 * (d + 10 * (e + 10 * (f + 10 * (g + 10 * (h + 10 * (i + 10 * j))))))));
}
//--- floating.c
double floating(double a, double b, double c, double d, double e, double f, double g, double h, double i) {
    return a + 10 * (b + 10 * (c + 10 * (d + 10 * (e + 10 * (f + 10 * (g + 10 * (h + 10 * i)))))));
}
//--- vectors.c
typedef int vector __attribute__((vector_size(16)));
vector vectors(vector a, vector b, vector c, vector d, vector e, vector f, vector g, vector h) {
    return a + b + c + d + e + f + g + h;
}
//--- result.c
struct large { long numbers[5]; double half; };
struct large result(long number, double twice) {
    return (struct large){{number, 0, 0, 0, number + 1}, twice / 2};
}
//--- parts.c
struct parts { double a, b, c, d; };
struct parts parts(struct parts of, float scale) {
    return (struct parts){of.a * scale, of.b * scale, of.c * scale, of.d * scale};
}
//--- variable.c
#include <stdarg.h>
int variable(const char *types, ...) {
    va_list list;
    va_start(list, types);
    double sum = 0;
    for (; *types; types++)
        sum = sum * 10 + (*types == 'i' ? va_arg(list, int) : va_arg(list, double));
    va_end(list);
    return (int)sum;
}
