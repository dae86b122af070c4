#include <atomic>
#include <cstdio>
#include <thread>
volatile int raced;
std::atomic<bool> first;
int main() {
    std::thread a([] {
        raced = raced + 1;
        // Orders nothing, but both accesses at once could hide each other.
        first.store(true, std::memory_order_relaxed);
    });
    std::thread b([] {
        while (!first.load(std::memory_order_relaxed)) {
        }
        raced = raced + 1;
    });
    a.join();
    b.join();
    std::puts("done");
}
