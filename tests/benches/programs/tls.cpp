// Nanoseconds per access to thread-locals of another object: a number, and an object that is
// constructed on first use and therefore guarded.
#include <chrono>
#include <cstdio>

extern thread_local long number;
long next_of_guarded();

template <class F> static double nanoseconds(F access, long count) {
    double best = 1e9;
    for (int round = 0; round < 7; round++) {
        auto start = std::chrono::steady_clock::now();
        for (long i = 0; i < count; i++) access();
        std::chrono::duration<double, std::nano> elapsed = std::chrono::steady_clock::now() - start;
        best = elapsed.count() / count < best ? elapsed.count() / count : best;
    }
    return best;
}

int main() {
    long count = 10'000'000;
    std::printf("number %.3f\n", nanoseconds([] {
        asm volatile("" : : "r"(&number) : "memory");
        number++;
    }, count));
    std::printf("guarded object %.3f\n", nanoseconds([] { next_of_guarded(); }, count));
}
