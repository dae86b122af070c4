// A program that stays within what LLVM 22's `llvm-jitlink` can link. Compiled by gcc with
// `-fPIC -O0`, it has no thread-local that another function reaches, no `call_once`, no
// constructor priorities across objects and no `.fini_array`.

#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>

struct Traced {
    explicit Traced(const char* name) : name(name) { std::printf("+%s\n", name); }
    ~Traced() { std::printf("-%s\n", name); std::fflush(stdout); }
    const char* name;
};

static Traced first("first static object");
static Traced second("second static object");

int thrower(int depth);

static int per_thread(const char* who) {
    static thread_local Traced traced("thread-local object");
    static thread_local int count = 10;
    std::printf("%s counts %d\n", who, ++count);
    return count;
}

extern "C" int compare(const void* left, const void* right) {
    int a = *static_cast<const int*>(left), b = *static_cast<const int*>(right);
    if (a == 13 || b == 13) throw std::runtime_error("unlucky");
    return a - b;
}

static void at_exit_1() { std::printf("atexit, registered first\n"); std::fflush(stdout); }
static void at_exit_2() { std::printf("atexit, registered second\n"); std::fflush(stdout); }

int main(int argc, char** argv) {
    std::printf("main with %d arguments: %s\n", argc - 1, argv[1]);
    std::atexit(at_exit_1);
    try {
        std::printf("%d\n", thrower(3));
    } catch (const std::exception& error) {
        std::printf("caught %s\n", error.what());
    }
    int numbers[] = {3, 13, 2};
    try {
        std::qsort(numbers, 3, sizeof(int), compare);
    } catch (const std::exception& error) {
        std::printf("through qsort: %s\n", error.what());
    }
    std::thread one([] { per_thread("one"); per_thread("one"); });
    one.join();
    std::thread two([] { per_thread("two"); });
    two.join();
    per_thread("main");
    std::atexit(at_exit_2);
    static Traced local("static object of main");
    std::printf("main returns\n");
    std::fflush(stdout);
    return 5;
}
