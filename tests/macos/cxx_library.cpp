// What a C++ program has of its system: streams, exceptions, threads, thread-locals, constructors, memory.
#include <condition_variable>
#include <functional>
#include <iomanip>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

struct Told {
    std::string name;
    explicit Told(std::string own) : name(std::move(own)) { std::cout << "+" << name << std::endl; }
    ~Told() { std::cout << "-" << name << std::endl; }
};

static Told first("static");
static thread_local std::unique_ptr<Told> of_thread;

static int fail(int depth) {
    Told frame("frame " + std::to_string(depth));
    if (depth == 0)
        throw std::out_of_range("at the end");
    return fail(depth - 1) + 1;
}

int main() {
    try {
        std::cout << fail(2) << std::endl;
    } catch (const std::logic_error &error) {
        std::cout << error.what() << std::endl;
    }
    std::mutex mutex;
    std::condition_variable changed;
    int turn = 0;
    std::vector<std::thread> threads;
    for (int own = 0; own < 3; own++)
        threads.emplace_back([&, own] {
            std::unique_lock<std::mutex> lock(mutex);
            changed.wait(lock, [&] { return turn == own; });
            of_thread = std::make_unique<Told>("thread " + std::to_string(own));
            of_thread.reset();
            turn++;
            changed.notify_all();
        });
    for (auto &thread : threads)
        thread.join();
    of_thread = std::make_unique<Told>("main's");
    std::ostringstream text;
    text << std::setw(8) << std::setprecision(3) << 3.14159 << ' ' << std::hex << 255 << ' ' << std::boolalpha << true
         << ' ' << 2.5L;
    std::cout << text.str() << '\n';
    std::istringstream input("12 0.5 word 1.25");
    int number;
    double real;
    std::string word;
    long double more;
    input >> number >> real >> word >> more;
    std::cout << number << ' ' << real << ' ' << word << ' ' << more << '\n';
    std::map<std::string, std::function<double(double)>> table{{"twice", [](double x) { return 2 * x; }}};
    std::cout << table["twice"](std::stod("4.25")) << ' ' << std::stold("0.75") << ' ' << std::to_string(1.5f) << '\n';
}
