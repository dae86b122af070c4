//# expect-exit: 21
// exit() deep in the program: static and thread-local destructors run, automatic ones do not.
#include <cstdio>
#include <cstdlib>
struct Traced {
    explicit Traced(const char* name) : name(name) { std::printf("+%s\n", name); }
    ~Traced() { std::printf("-%s\n", name); }
    const char* name;
};
static Traced global("global");
static thread_local Traced per_thread("thread-local");
static int deeper(int depth) {
    Traced automatic("automatic");
    if (depth == 0) std::exit(21);
    return deeper(depth - 1) + per_thread.name[0];
}
int main() {
    std::puts(per_thread.name);
    return deeper(2);
}
