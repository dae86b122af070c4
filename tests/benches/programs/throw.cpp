// Nanoseconds per exception through ten frames of another object, on one thread and on two.
#include <chrono>
#include <cstdio>
#include <thread>

void frame(int depth, int value);

static double nanoseconds(int count) {
    auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < count; i++) {
        try {
            frame(10, i);
        } catch (int) {
        }
    }
    std::chrono::duration<double, std::nano> elapsed = std::chrono::steady_clock::now() - start;
    return elapsed.count() / count;
}

int main() {
    nanoseconds(1000);
    double one = 1e9, two = 1e9;
    for (int round = 0; round < 7; round++) {
        double alone = nanoseconds(10000);
        one = alone < one ? alone : one;
        double theirs = 0;
        std::thread other([&] { theirs = nanoseconds(10000); });
        double mine = nanoseconds(10000);
        other.join();
        double slower = mine > theirs ? mine : theirs;
        two = slower < two ? slower : two;
    }
    std::printf("one thread %.1f\ntwo threads %.1f\n", one, two);
}
