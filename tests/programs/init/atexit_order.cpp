// atexit handlers and static destructors interleave by the time they were registered.
#include <cstdio>
#include <cstdlib>
struct Traced {
    explicit Traced(const char* name) : name(name) {}
    ~Traced() {
        std::printf("-%s\n", name);
        if (name[0] == 'r') std::atexit([] { std::puts("registered by a destructor"); });
    }
    const char* name;
};
static Traced global("global");
static void handler() {
    static Traced inside("constructed by a handler");
    std::puts("handler");
}
int main() {
    std::atexit([] { std::puts("first"); });
    static Traced local("local");
    std::atexit(handler);
    static Traced registers("registers another");
    std::atexit([] { std::puts("last"); });
    for (int i = 0; i < 40; i++)
        std::atexit([] { std::putchar('.'); });
}
