#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>
template <class T> T twice(T value) { return value + value; }
struct Counted { static int alive; Counted() { ++alive; } ~Counted() { --alive; std::printf("left %d\n", alive); } };
int Counted::alive;
static Counted before_main;
inline int shared() { static int calls; return ++calls; }
int other();
void fail(const std::string &why);
int main()
{
    std::vector<int> numbers{1, 2, 3};
    try { fail(twice(std::string("why"))); } catch (const std::runtime_error &error) { std::printf("%s\n", error.what()); }
    std::printf("%d %d %d %d\n", twice(numbers.back()), shared(), other(), shared());
}
