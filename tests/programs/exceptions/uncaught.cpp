//# expect-signal: 6
//# linux: the messages are of libstdc++
// Nobody catches it: std::terminate, abort, and the message of libstdc++ about the type.
//# compare: stderr
#include <cstdio>
#include <stdexcept>
struct Cleanup { ~Cleanup() { std::puts("not run: there is no handler"); } };
int main() {
    std::puts("before");
    std::fflush(stdout);
    Cleanup cleanup;
    throw std::runtime_error("uncaught");
}
