//# modes: few
// Names with and without mangling, in both directions, with structures passed by value.
#include <complex>
#include <cstdio>
#include <string>
struct Small { char c; double d; };
struct Large { long numbers[8]; };
extern "C" {
Small c_small(Small);
Large c_large(const Large*, int);
double c_variadic(int count, ...);
int cxx_called_from_c(const char* text) { return static_cast<int>(std::string(text).size()); }
extern int c_data;
}
int main() {
    Small small = c_small({'a', 1.5});
    Large start{{1, 2, 3, 4, 5, 6, 7, 8}};
    Large large = c_large(&start, 3);
    std::printf("%c %.1f %ld %ld\n", small.c, small.d, large.numbers[0], large.numbers[7]);
    std::printf("%.2f %d\n", c_variadic(4, 1.0, 2, 3.25, 4), c_data);
}
//--- c.c
#include <stdarg.h>
struct small { char c; double d; };
struct large { long numbers[8]; };
int cxx_called_from_c(const char *);
int c_data = 9;
struct small c_small(struct small s) { return (struct small){s.c + 1, s.d * 2}; }
struct large c_large(const struct large *start, int by) {
    struct large result = *start;
    for (int i = 0; i < 8; i++) result.numbers[i] *= by;
    result.numbers[0] += cxx_called_from_c("seven!!");
    return result;
}
double c_variadic(int count, ...) {
    va_list list;
    va_start(list, count);
    double sum = 0;
    for (int i = 0; i < count; i++) sum += i % 2 ? va_arg(list, int) : va_arg(list, double);
    va_end(list);
    return sum;
}
