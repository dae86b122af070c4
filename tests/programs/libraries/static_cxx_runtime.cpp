//# libs: -l:libstdc++.a -l:libgcc_eh.a -lm
//# compilers: gcc
//# modes: default nopie
//# linux: the C++ library is libstdc++
// libstdc++ and libgcc's unwinder as part of the program: exceptions, streams, threads.
#include <iostream>
#include <stdexcept>
#include <thread>
#include <vector>
thread_local std::string text = "thread-local";
int main() {
    try {
        std::vector<int>().at(5);
    } catch (const std::out_of_range&) {
        std::cout << "caught" << std::endl;
    }
    std::thread([] {
        try {
            throw std::runtime_error(text);
        } catch (const std::exception& error) {
            std::cout << error.what() << std::endl;
        }
    }).join();
}
