// The destructor of one thread-local constructs another, whose destructor then runs too.
#include <cstdio>
#include <thread>

struct Late {
    ~Late() { std::puts("late destroyed"); }
    int value = 3;
};
struct Early {
    ~Early();
    int value = 1;
};
thread_local Early early;
Late& late() {
    static thread_local Late object;
    return object;
}
Early::~Early() { std::printf("early destroyed, late is %d\n", late().value); }

int main() {
    std::thread([] { early.value++; }).join();
    early.value++;
    std::puts("main returns");
}
