#include <cstdio>
#include <thread>
volatile int raced;
int main() {
    std::thread a([] { raced = raced + 1; }), b([] { raced = raced + 1; });
    a.join();
    b.join();
    std::puts("done");
}
