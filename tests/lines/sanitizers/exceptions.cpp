// Exceptions, within the program and through a library.
#include <cstdio>
#include <functional>
#include <stdexcept>
#include <string>
#include <typeinfo>
void through_library(void (*call)()) __attribute__((weak));
static void throws() { throw std::runtime_error("thrown"); }
int main() {
    try {
        throws();
    } catch (const std::exception &error) {
        std::printf("%s\n", error.what());
    }
    try {
        std::string("short").at(10);
    } catch (const std::out_of_range &) {
        std::puts("out of range");
    }
    try {
        std::function<void()>()();
    } catch (const std::bad_function_call &) {
        std::puts("bad call");
    }
    if (through_library) {
        try {
            through_library(throws);
        } catch (...) {
            std::puts("through a library");
        }
    }
}
