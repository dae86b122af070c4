//# expect-exit: 9
// A thread other than the main one ends the program: its thread-locals are destroyed, then statics.
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <unistd.h>
struct Traced {
    explicit Traced(const char* name) : name(name) {}
    ~Traced() { std::printf("-%s\n", name); }
    const char* name;
};
static Traced global("global");
static thread_local Traced per_thread("thread-local");
int main() {
    std::printf("main has %s\n", per_thread.name);
    std::thread([] {
        std::printf("thread has %s\n", per_thread.name);
        std::exit(9);
    }).detach();
    for (;;) pause();
}
