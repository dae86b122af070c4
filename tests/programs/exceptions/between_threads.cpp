//# modes: few tlsdesc
// exception_ptr, promises and packaged tasks carry exceptions to other threads.
#include <cstdio>
#include <exception>
#include <future>
#include <stdexcept>
#include <thread>
#include <vector>
int main() {
    std::exception_ptr carried;
    std::thread([&] {
        try {
            throw std::range_error("from a thread");
        } catch (...) {
            carried = std::current_exception();
        }
    }).join();
    try {
        std::rethrow_exception(carried);
    } catch (const std::range_error& error) {
        std::puts(error.what());
    }
    carried = nullptr;
    std::promise<int> promise;
    auto future = promise.get_future();
    std::thread([&] { promise.set_exception(std::make_exception_ptr(42)); }).join();
    try {
        future.get();
    } catch (int value) {
        std::printf("%d\n", value);
    }
    std::vector<std::future<int>> futures;
    for (int i = 0; i < 10; i++)
        futures.push_back(std::async(std::launch::async, [i]() -> int {
            if (i % 3 == 0) throw std::to_string(i);
            return i;
        }));
    for (auto& each : futures) {
        try {
            std::printf("value %d\n", each.get());
        } catch (const std::string& text) {
            std::printf("threw %s\n", text.c_str());
        }
    }
}
