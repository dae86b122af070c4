//# flags: -std=c++17 -pthread
//# linux: clang leaves allocations out that nobody uses
#include <cstdint>
#include <cstdio>
#include <memory>
#include <memory_resource>
#include <new>
#include <vector>
struct alignas(256) Wide { char bytes[300]; };
static volatile std::size_t huge_size = std::size_t(-1) / 4;
int main() {
    std::size_t huge = huge_size;
    auto wide = std::make_unique<Wide[]>(3);
    std::printf("%d\n", static_cast<int>(reinterpret_cast<std::uintptr_t>(&wide[1]) % 256));
    char storage[4096];
    std::pmr::monotonic_buffer_resource resource(storage, sizeof storage);
    std::pmr::vector<int> numbers(&resource);
    for (int i = 0; i < 100; i++) numbers.push_back(i);
    std::printf("%d\n", reinterpret_cast<char*>(numbers.data()) >= storage && reinterpret_cast<char*>(numbers.data()) < storage + 4096);
    try {
        (void)new (std::align_val_t(64)) char[huge];
    } catch (const std::bad_alloc&) {
        std::puts("bad_alloc");
    }
    std::printf("%d\n", new (std::nothrow) char[huge] == nullptr);
}
