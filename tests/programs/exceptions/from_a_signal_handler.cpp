//# flags: -fnon-call-exceptions
//# compilers: gcc
//# modes: few
//# linux: macOS's C++ library looks for the call before the instruction
// A synchronous signal becomes an exception, unwound through the signal frame.
#include <csignal>
#include <cstdio>
static void handler(int number) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    sigprocmask(SIG_UNBLOCK, &set, nullptr);
    throw number;
}
__attribute__((noinline)) static int read(volatile int* pointer) { return *pointer; }
int main() {
    std::signal(SIGSEGV, handler);
    for (int i = 0; i < 3; i++) {
        try {
            std::printf("%d\n", read(nullptr));
        } catch (int number) {
            std::printf("signal %d\n", number);
        }
    }
}
