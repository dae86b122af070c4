// Threads that share nothing without a lock.
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <string>
#include <thread>
#include <vector>
struct Owner {
    std::string *text = new std::string(100, 'x');
    ~Owner() { delete text; }
};
thread_local Owner owner;
static std::mutex mutex;
static std::condition_variable changed;
static std::vector<std::string> shared;
static std::atomic<int> count;
int main() {
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; i++)
        threads.emplace_back([i] {
            owner.text->push_back('y');
            for (int j = 0; j < 100; j++) {
                std::lock_guard<std::mutex> lock(mutex);
                shared.push_back(std::string(50, 'a' + i));
            }
            count++;
            changed.notify_all();
        });
    {
        std::unique_lock<std::mutex> lock(mutex);
        changed.wait(lock, [] { return shared.size() == 400; });
    }
    for (auto &thread : threads) thread.join();
    std::printf("%zu %d\n", shared.size(), count.load());
}
