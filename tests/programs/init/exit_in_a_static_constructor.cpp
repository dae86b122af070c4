//# expect-exit: 33
// exit() before main: what was constructed is destroyed, main never runs.
#include <cstdio>
#include <cstdlib>
struct Traced {
    explicit Traced(const char* name) : name(name) { std::printf("+%s\n", name); }
    ~Traced() { std::printf("-%s\n", name); }
    const char* name;
};
static Traced before("before");
static int ends = (std::exit(33), 0);
static Traced after("after");
int main() { std::puts("not reached"); }
