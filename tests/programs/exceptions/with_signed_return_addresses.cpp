//# cpu: aarch64, its flags for branch protection
//# flags: -O1 -mbranch-protection=standard -moutline-atomics
//# modes: default
// Exceptions through frames whose return addresses are signed, and atomics that choose their
// instructions when the program starts.
#include <atomic>
#include <cstdio>
#include <stdexcept>
#include <string>
static std::atomic<long> calls{0};
struct Guard {
    ~Guard() { calls += 100; }
};
__attribute__((noinline)) static int deep(int depth) {
    Guard guard;
    calls++;
    if (depth == 0) throw std::runtime_error("deep " + std::to_string(calls.load()));
    return deep(depth - 1) + 1;
}
int main() {
    try {
        deep(5);
    } catch (const std::exception &error) {
        std::printf("%s %ld\n", error.what(), calls.load());
    }
    return 0;
}
