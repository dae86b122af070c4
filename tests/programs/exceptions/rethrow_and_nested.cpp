//# modes: few tlsdesc
// Rethrowing, exceptions inside handlers, and uncaught_exceptions along the way.
#include <cstdio>
#include <exception>
#include <stdexcept>
struct Watch {
    explicit Watch(const char* name) : name(name) {}
    ~Watch() { std::printf("  %s sees %d\n", name, std::uncaught_exceptions()); }
    const char* name;
};
struct ThrowsInside {
    ~ThrowsInside() {
        try {
            Watch inner("inner");
            throw 1;
        } catch (int) {
            std::puts("  inner caught");
        }
    }
};
static void level3() {
    Watch watch("level3");
    ThrowsInside throws;
    throw std::runtime_error("root");
}
static void level2() {
    try {
        level3();
    } catch (std::exception& error) {
        Watch watch("handler");
        std::printf("level2 caught %s\n", error.what());
        throw;
    }
}
static void level1() {
    try {
        level2();
    } catch (...) {
        try {
            throw std::logic_error("second");
        } catch (std::logic_error& error) {
            std::printf("level1 caught %s\n", error.what());
        }
        std::throw_with_nested(std::out_of_range("wrapped"));
    }
}
static void print(const std::exception& error, int depth) {
    std::printf("%*s%s\n", depth * 2, "", error.what());
    try {
        std::rethrow_if_nested(error);
    } catch (const std::exception& nested) {
        print(nested, depth + 1);
    }
}
int main() {
    try {
        level1();
    } catch (const std::exception& error) {
        print(error, 1);
    }
    std::printf("%d\n", std::uncaught_exceptions());
}
