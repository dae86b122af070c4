//# modes: one
//# compilers: gcc
//# link: main.o -Wl,--whole-archive -l:libstdc++.a -Wl,--no-whole-archive
//# flags: -pthread
//# native: -static-libstdc++
// The whole of the static C++ runtime: it brings functions of its own that libc or the JIT's runtime
// also has (`__cxa_thread_atexit`), and they are the ones that count.
#include <cstdio>
#include <stdexcept>
#include <string>
#include <thread>

struct Noisy {
    const char *name;
    ~Noisy() { std::printf("%s ends\n", name); }
};
static thread_local Noisy noisy{"thread-local"};
static Noisy global{"static"};

int main() {
    std::thread([] { noisy.name = "thread-local of a thread"; }).join();
    noisy.name = "thread-local of the main thread";
    try {
        (void)std::string().at(1);
    } catch (const std::out_of_range &error) {
        std::puts("caught");
    }
    return 0;
}
