//# flags: -fsanitize=thread -g
//# native: -fsanitize=thread
//# jit: -fsanitize=thread
//# compilers: gcc
//# modes: default
//# expect-exit: 66
// ThreadSanitizer finds a race, and none where a mutex prevents it.
#include <cstdio>
#include <mutex>
#include <thread>
int guarded;
volatile int raced;
std::mutex mutex;
int main() {
    auto work = [] {
        for (int i = 0; i < 1000; i++) {
            std::lock_guard<std::mutex> lock(mutex);
            guarded++;
        }
        raced = raced + 1;
    };
    std::thread a(work), b(work);
    a.join();
    b.join();
    std::printf("%d\n", guarded);
}
