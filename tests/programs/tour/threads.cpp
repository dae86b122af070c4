// Threads, each with thread-local objects that are constructed on first use and destroyed when
// the thread ends.

#include <atomic>
#include <condition_variable>
#include <future>
#include <mutex>
#include <thread>
#include <vector>

#include "tour.h"

extern thread_local int defined_elsewhere;

namespace {

constexpr int thread_count = 16;

std::atomic<int> constructed{0}, destroyed{0};
std::once_flag once;
std::mutex lock;
std::condition_variable turn;
int next_thread = 0;

struct PerThread {
    PerThread() { constructed++; }
    ~PerThread() {
        destroyed++;
        total += value;
    }
    int value = 7;
    static std::atomic<int> total;
};

std::atomic<int> PerThread::total{0};

thread_local PerThread per_thread;
thread_local int zero_at_first;
thread_local int initialized = 40;

int work(int number) {
    std::call_once(once, [] { say("called once"); });
    per_thread.value += number;
    zero_at_first += number;
    initialized += number;
    defined_elsewhere += number;
    // Threads take turns, so that what they print is in order.
    std::unique_lock<std::mutex> guard(lock);
    turn.wait(guard, [number] { return next_thread == number; });
    next_thread++;
    turn.notify_all();
    return zero_at_first + initialized + defined_elsewhere;
}

}  // namespace

void threads() {
    std::vector<int> results(thread_count);
    std::vector<std::thread> running;
    for (int i = 0; i < thread_count; i++)
        running.emplace_back([&results, i] { results[i] = work(i); });
    for (auto& thread : running)
        thread.join();
    long sum = 0;
    for (int result : results)
        sum += result;
    say("%d threads: sum %ld", thread_count, sum);
    say("thread-locals: %d constructed, %d destroyed, total %d", constructed.load(), destroyed.load(),
        PerThread::total.load());
    say("this thread's own: %d %d %d", zero_at_first, initialized, defined_elsewhere);

    auto future = std::async(std::launch::async, [] { return sum_to(5, 2); });
    try {
        say("not reached: %d", future.get());
    } catch (const Failure& failure) {
        say("from another thread: %s", failure.what().c_str());
    }
    shared_counter()++;
}
