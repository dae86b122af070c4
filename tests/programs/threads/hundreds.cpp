// Three hundred threads, each with thread-local objects and an exception.
#include <atomic>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>
static std::atomic<int> alive{0}, caught{0};
struct Object {
    Object() { alive++; }
    ~Object() { alive--; }
    std::string text = "a text of a length that needs the heap";
};
static thread_local Object object;
int main() {
    for (int round = 0; round < 3; round++) {
        std::vector<std::thread> threads;
        for (int i = 0; i < 100; i++)
            threads.emplace_back([i] {
                try {
                    throw object.text.size() + i;
                } catch (std::size_t) {
                    caught++;
                }
            });
        for (auto& thread : threads) thread.join();
    }
    std::printf("%d %d\n", alive.load(), caught.load());
}
