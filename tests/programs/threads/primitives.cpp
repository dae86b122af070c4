//# modes: few
//# flags: -std=c++17
// async, futures, call_once, condition variables, shared mutexes, atomics, barriers by hand.
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <future>
#include <mutex>
#include <numeric>
#include <queue>
#include <shared_mutex>
#include <thread>
#include <vector>
static std::once_flag flag, failing;
static int once_count = 0, attempts = 0;
static std::mutex mutex;
static std::condition_variable available;
static std::queue<int> queue;
static std::shared_mutex shared;
static int guarded = 0;
int main() {
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; i++)
        threads.emplace_back([] {
            std::call_once(flag, [] { once_count++; });
            std::unique_lock lock(shared);
            guarded++;
        });
    for (auto& thread : threads) thread.join();
    std::printf("%d %d\n", once_count, guarded);
    for (int i = 0; i < 3; i++) {
        try {
            std::call_once(failing, [] { if (++attempts < 3) throw attempts; });
        } catch (int attempt) {
            std::printf("attempt %d\n", attempt);
        }
    }
    std::thread consumer([] {
        long sum = 0;
        for (int received = 0; received < 1000; received++) {
            std::unique_lock<std::mutex> lock(mutex);
            available.wait(lock, [] { return !queue.empty(); });
            sum += queue.front();
            queue.pop();
        }
        std::printf("consumed %ld\n", sum);
    });
    for (int i = 0; i < 1000; i++) {
        std::lock_guard<std::mutex> lock(mutex);
        queue.push(i);
        available.notify_one();
    }
    consumer.join();
    std::vector<std::future<long>> parts;
    for (int part = 0; part < 4; part++)
        parts.push_back(std::async(std::launch::async, [part] {
            std::vector<long> numbers(1000);
            std::iota(numbers.begin(), numbers.end(), part * 1000);
            return std::accumulate(numbers.begin(), numbers.end(), 0L);
        }));
    long total = 0;
    for (auto& part : parts) total += part.get();
    std::printf("%ld\n", total);
    std::packaged_task<int(int)> task([](int x) { return x * 2; });
    auto result = task.get_future();
    std::thread(std::move(task), 21).join();
    std::printf("%d\n", result.get());
    std::atomic<long> counter{0};
    threads.clear();
    for (int i = 0; i < 4; i++) threads.emplace_back([&] { for (int j = 0; j < 10000; j++) counter++; });
    for (auto& thread : threads) thread.join();
    std::printf("%ld\n", counter.load());
}
