//# modes: few O2
// A program's operator new and delete replace the library's, for the library's own use too.
#include <cstdio>
#include <cstdlib>
#include <new>
#include <sstream>
#include <string>
#include <vector>
static int news, deletes;
void* operator new(std::size_t size) {
    news++;
    return std::malloc(size);
}
void operator delete(void* pointer) noexcept {
    deletes++;
    std::free(pointer);
}
void operator delete(void* pointer, std::size_t) noexcept {
    deletes++;
    std::free(pointer);
}
int main() {
    {
        std::vector<int>* numbers = new std::vector<int>(100);
        delete numbers;
    }
    std::printf("%d %d\n", news >= 2, news == deletes);
    int before = news;
    {
        std::ostringstream stream;  // grows inside libstdc++.so
        for (int i = 0; i < 1000; i++) stream << i;
        std::string text = stream.str();
    }
    std::printf("%d %d\n", news > before, news == deletes);
}
