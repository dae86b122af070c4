// Something of everything that an object can lose: relocations, frames, groups, initializers.
#include <cstdio>
#include <stdexcept>

static int counter = 3;
int scale = 4;
struct Constructed {
    Constructed() { counter++; }
} constructed;

inline __attribute__((noinline)) int checked(int n) {
    if (n > 9)
        throw std::runtime_error("too much");
    return n + counter;
}

static int scaled(int n) { return n * scale; }
int (*function)(int) = scaled;

int main() {
    try {
        checked(10);
    } catch (std::exception &error) {
        std::puts(error.what());
    }
    std::printf("%d %d\n", checked(1), function(2));
}
