//# modes: few
// Four threads throw ten thousand times each through several frames with cleanups.
#include <atomic>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>
static std::atomic<long> cleanups{0};
struct Cleanup { ~Cleanup() { cleanups++; } };
__attribute__((noinline)) static int deeper(int depth, int value) {
    Cleanup cleanup;
    if (depth == 0) throw value;
    return deeper(depth - 1, value) + 1;
}
int main() {
    std::atomic<long> sum{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; t++)
        threads.emplace_back([&, t] {
            for (int i = 0; i < 10000; i++) {
                try {
                    deeper(5, t);
                } catch (int value) {
                    sum += value;
                }
            }
        });
    for (auto& thread : threads) thread.join();
    std::printf("%ld %ld\n", sum.load(), cleanups.load());
}
