//# modes: few
//# archive: libparts.a = registers.cpp counted.c hidden.cpp callback.c
//# native: -rdynamic -u anchor -Wl,-u,counted -Wl,--undefined=hidden_anchor -Wl,-u -Wl,callback -u defined_nowhere
//# jit: -rdynamic -u anchor -Wl,-u,counted -Wl,--undefined=hidden_anchor -Wl,-u -Wl,callback -u defined_nowhere
// `-u` pulls the archive member that defines a name, with its constructors and all that it needs,
// though nothing refers to it; and no member for a name that none defines.
#include <cstdio>
#include <dlfcn.h>
int main() {
    auto counted = reinterpret_cast<int (*)()>(dlsym(RTLD_DEFAULT, "counted"));
    std::printf("%d %d\n", counted ? counted() : -1, dlsym(RTLD_DEFAULT, "anchor") != nullptr);
    std::printf("%d\n", dlsym(RTLD_DEFAULT, "defined_nowhere") == nullptr);
    std::printf("%d\n", dlsym(RTLD_DEFAULT, "hidden_anchor") == nullptr);
}
//--- registers.cpp
#include <cstdio>
extern "C" int anchor;
int anchor;
static struct Registered {
    Registered() { std::puts("registered"); }
    ~Registered() { std::puts("unregistered"); }
} registered;
//--- counted.c
int callback(int);
int counted(void) { return callback(20) + 1; }
//--- hidden.cpp
#include <cstdio>
extern "C" __attribute__((visibility("hidden"))) int hidden_anchor;
int hidden_anchor;
static struct Hidden {
    Hidden() { std::puts("pulled by a hidden name"); }
} hidden;
//--- callback.c
int callback(int x) { return x * 2; }
