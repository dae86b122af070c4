//# expect-exit: 17
// An exception that would leave a noexcept function calls the terminate handler.
#include <cstdio>
#include <cstdlib>
#include <exception>
static void throws() { throw 5; }
static void quiet() noexcept { throws(); }
int main() {
    std::set_terminate([] {
        try {
            std::rethrow_exception(std::current_exception());
        } catch (int value) {
            std::printf("terminating because of %d\n", value);
        }
        std::fflush(stdout);
        std::_Exit(17);
    });
    try {
        quiet();
    } catch (int) {
        std::puts("not reached");
    }
}
