//# flags: -std=c++20
//# modes: few debug
// Generators and tasks, with exceptions through a suspended frame.
#include <coroutine>
#include <cstdio>
#include <exception>
#include <utility>
template <class T> struct Generator {
    struct promise_type {
        T value;
        std::exception_ptr error;
        Generator get_return_object() { return Generator{std::coroutine_handle<promise_type>::from_promise(*this)}; }
        std::suspend_always initial_suspend() noexcept { return {}; }
        std::suspend_always final_suspend() noexcept { return {}; }
        std::suspend_always yield_value(T v) { value = v; return {}; }
        void return_void() {}
        void unhandled_exception() { error = std::current_exception(); }
    };
    explicit Generator(std::coroutine_handle<promise_type> handle) : handle(handle) {}
    Generator(Generator&& other) : handle(std::exchange(other.handle, nullptr)) {}
    ~Generator() { if (handle) handle.destroy(); }
    bool next() {
        handle.resume();
        if (handle.promise().error) std::rethrow_exception(handle.promise().error);
        return !handle.done();
    }
    T value() { return handle.promise().value; }
    std::coroutine_handle<promise_type> handle;
};
struct Traced { ~Traced() { std::puts("frame destroyed"); } };
Generator<long> fibonacci(int count) {
    Traced traced;
    long a = 0, b = 1;
    for (int i = 0; i < count; i++) {
        co_yield a;
        a = std::exchange(b, a + b);
    }
    throw count;
}
int main() {
    auto numbers = fibonacci(10);
    try {
        while (numbers.next()) std::printf("%ld ", numbers.value());
    } catch (int count) {
        std::printf("\nafter %d\n", count);
    }
    auto abandoned = fibonacci(5);
    abandoned.next();
    std::puts("end");
}
