// A thousand static objects, each with a destructor, in order.
#include <cstdio>
static long sum = 0;
struct Counted {
    explicit Counted(int number) : number(number) { sum = sum * 31 + number; }
    ~Counted() { sum = sum * 17 + number; if (number == 0) std::printf("%ld\n", sum); }
    int number;
};
#define ONE(n) static Counted c##n(0x##n);
#define TEN(n) ONE(n##0) ONE(n##1) ONE(n##2) ONE(n##3) ONE(n##4) ONE(n##5) ONE(n##6) ONE(n##7) ONE(n##8) ONE(n##9)
#define HUNDRED(n) TEN(n##0) TEN(n##1) TEN(n##2) TEN(n##3) TEN(n##4) TEN(n##5) TEN(n##6) TEN(n##7) TEN(n##8) TEN(n##9)
HUNDRED(0) HUNDRED(1) HUNDRED(2) HUNDRED(3) HUNDRED(4) HUNDRED(5) HUNDRED(6) HUNDRED(7) HUNDRED(8) HUNDRED(9)
int main() { std::printf("%ld\n", sum); }
