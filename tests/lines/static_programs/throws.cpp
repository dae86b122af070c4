#include <iostream>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

struct Noted {
    int number;
    explicit Noted(int number) : number(number) {}
    ~Noted() { std::cout << "gone " << number << std::endl; }
};
thread_local Noted of_thread(1);
static Noted of_program(2);
static std::once_flag once;

static int limited(int number) {
    if (number > 2) throw std::runtime_error("too large");
    return number;
}

int main() {
    std::call_once(once, [] { std::cout << "once\n"; });
    try {
        limited(3);
    } catch (std::exception &error) {
        std::cout << error.what() << " " << of_thread.number << "\n";
    }
    std::thread other([] {
        try {
            limited(5);
        } catch (...) {
            std::cout << "in a thread " << of_thread.number << "\n";
        }
    });
    other.join();
    std::vector<std::string> words;
    for (int i = 0; i < 1000; i++) words.push_back(std::to_string(i));
    std::cout << words.back() << "\n";
    return 4;
}
