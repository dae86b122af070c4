//# expect-signal: 6
//# compare: stderr
#include <stdexcept>
#include <thread>
int main() {
    std::thread([] { throw std::logic_error("in a thread"); }).join();
}
