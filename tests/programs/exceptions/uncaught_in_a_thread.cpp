//# expect-signal: 6
//# compare: stderr
//# linux: the messages are of libstdc++
#include <stdexcept>
#include <thread>
int main() {
    std::thread([] { throw std::logic_error("in a thread"); }).join();
}
