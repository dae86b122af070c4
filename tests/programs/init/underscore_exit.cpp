//# expect-exit: 6
// _exit runs nothing, and what is still buffered is lost.
#include <cstdio>
#include <unistd.h>
struct Traced {
    ~Traced() { std::puts("not reached"); }
};
static Traced global;
int main() {
    std::puts("flushed");
    std::fflush(stdout);
    std::puts("lost in the buffer");
    _exit(6);
}
