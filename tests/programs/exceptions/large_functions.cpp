//# modes: few debug
// Hundreds of call sites and landing pads in one function, so that tables need long encodings.
#include <cstdio>
#include <initializer_list>
struct Add {
    Add(int& total, int by) : total(total), by(by) {}
    ~Add() { total += by; }
    int& total;
    int by;
};
__attribute__((noinline)) static void maybe(int at, int limit) { if (at == limit) throw at; }
#define ONE(n) { Add add(total, 0x##n); try { maybe(0x##n, limit); } catch (double) { total = -1; } }
#define TEN(n) ONE(n##0) ONE(n##1) ONE(n##2) ONE(n##3) ONE(n##4) ONE(n##5) ONE(n##6) ONE(n##7) ONE(n##8) ONE(n##9)
#define HUNDRED(n) TEN(n##0) TEN(n##1) TEN(n##2) TEN(n##3) TEN(n##4) TEN(n##5) TEN(n##6) TEN(n##7) TEN(n##8) TEN(n##9)
static int total = 0;
static void run(int limit) { HUNDRED(1) HUNDRED(2) HUNDRED(3) HUNDRED(4) }
int main() {
    for (int limit : {0x105, 0x299, 0x455, 0}) {
        total = 0;
        try {
            run(limit);
            std::printf("all %d\n", total);
        } catch (int at) {
            std::printf("%x %d\n", at, total);
        }
    }
}
