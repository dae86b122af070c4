// std::call_once uses thread-locals of the C++ library.
#include <cstdio>
#include <mutex>

std::once_flag flag;

int main() {
    for (int i = 0; i < 2; ++i)
        std::call_once(flag, [] { std::puts("once"); });
    std::puts("done");
}
