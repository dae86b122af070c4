//# modes: few tlsdesc O2
// Destructors of thread-locals run when their thread ends, in reverse order of construction; those
// of the main thread run before static destructors.
#include <cstdio>
#include <thread>

#include "noisy.h"

static Noisy global("global");
thread_local Noisy outer("outer");
extern thread_local Noisy elsewhere;

static void work(const char* who) {
    static thread_local Noisy inner("inner");
    std::printf("%s\n", who);
    elsewhere.touched++;
    inner.touched += 2;
    outer.touched += 3;
}

int main() {
    std::thread(work, "first").join();
    std::thread(work, "second").join();
    std::thread([] { std::puts("touches nothing"); }).join();
    work("main");
    std::puts("main returns");
}
//--- noisy.h
#include <cstdio>
struct Noisy {
    explicit Noisy(const char* name) : name(name) { std::printf("+%s\n", name); }
    ~Noisy() { std::printf("-%s (%d)\n", name, touched); }
    const char* name;
    int touched = 0;
};
//--- elsewhere.cpp
#include "noisy.h"

thread_local Noisy elsewhere("elsewhere");
