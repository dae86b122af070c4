#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <new>
struct Shown { virtual ~Shown(); };
Shown::~Shown() {}
void *operator new(std::size_t size) { return std::malloc(size); }
void operator delete(void *p) noexcept { std::free(p); }
static void look(const char *name) { std::printf("%s %s\n", name, dlsym(dlopen(nullptr, RTLD_NOW), name) ? "found" : "absent"); }
int main() {
    look("_ZTI5Shown");
    look("_ZN5ShownD1Ev");
    return 0;
}
