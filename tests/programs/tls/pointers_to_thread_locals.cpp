//# modes: few tlsdesc
// The address of a thread-local, taken by one thread, is used by another.
#include <atomic>
#include <cstdio>
#include <thread>

thread_local int value = 1;
std::atomic<int*> published{nullptr};
std::atomic<bool> done{false};

int main() {
    std::thread owner([] {
        value = 10;
        published = &value;
        while (!done) std::this_thread::yield();
        std::printf("owner sees %d\n", value);
    });
    int* theirs;
    while (!(theirs = published)) std::this_thread::yield();
    *theirs += 5;
    std::printf("different addresses: %d, mine is %d\n", theirs != &value, value);
    done = true;
    owner.join();
}
