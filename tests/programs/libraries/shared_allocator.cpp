//# needs: lib:jemalloc
//# libs: -ljemalloc
//# modes: one
// A shared library that replaces the allocator of everything, as when it is linked first.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
extern "C" int mallctl(const char*, void*, size_t*, void*, size_t);
static long allocated() {
    unsigned long epoch = 1;
    size_t bytes = 0, size = sizeof bytes;
    mallctl("epoch", nullptr, nullptr, &epoch, sizeof epoch);
    mallctl("stats.allocated", &bytes, &size, nullptr, 0);
    return static_cast<long>(bytes);
}
int main() {
    long before = allocated();
    std::string* text = new std::string(3000000, 'x');
    char* copy = strndup(text->c_str(), 2000000);
    std::thread([&] { copy = static_cast<char*>(realloc(copy, 4000000)); }).join();
    std::printf("%d %d\n", allocated() - before > 6000000, copy[1999999] == 'x');
    free(copy);
    delete text;
    std::printf("%d %d\n", allocated() - before < 1000000, std::getenv("LD_PRELOAD") == nullptr);
}
