// Guards of local statics: constructed once among racing threads, again after an exception.
#include <atomic>
#include <cstdio>
#include <thread>
#include <vector>
static std::atomic<int> constructed{0}, attempts{0};
struct Slow {
    Slow() {
        std::this_thread::yield();
        constructed++;
    }
    int value = 5;
};
static int use() {
    static Slow slow;
    return slow.value;
}
struct Fails {
    Fails() {
        if (++attempts < 3) throw attempts.load();
    }
};
static void use_fails() { static Fails fails; }
int main() {
    std::atomic<int> sum{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; i++) threads.emplace_back([&] { sum += use(); });
    for (auto& thread : threads) thread.join();
    std::printf("%d %d\n", constructed.load(), sum.load());
    for (int i = 0; i < 4; i++) {
        try {
            use_fails();
            std::puts("constructed");
        } catch (int attempt) {
            std::printf("attempt %d failed\n", attempt);
        }
    }
}
