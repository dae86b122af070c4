//# modes: few
// The child of a fork throws, has thread-locals, starts threads, and ends as any process.
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
struct Traced { ~Traced() { std::printf("destroyed in the %s\n", name); std::fflush(stdout); } const char* name; };
static Traced global{"parent"};
static thread_local int value = 1;
int main() {
    value = 2;
    std::fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        global.name = "child";
        int from_thread = 0;
        std::thread([&] { from_thread = value++; }).join();
        try {
            throw std::runtime_error("in the child");
        } catch (std::exception& error) {
            std::printf("%s: %d %d\n", error.what(), value, from_thread);
        }
        std::exit(12);
    }
    int status;
    waitpid(child, &status, 0);
    std::printf("child ended with %d\n", WEXITSTATUS(status));
}
