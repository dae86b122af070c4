//# flags: -std=c++14
// throw(...) lists and std::unexpected, as old code has them.
#include <cstdio>
#include <initializer_list>
#include <exception>
static void limited(int kind) throw(int) {
    if (kind == 0) throw 1;
    throw 2.0;
}
int main() {
    std::set_unexpected([] {
        std::puts("unexpected");
        throw 7;
    });
    for (int kind : {0, 1}) {
        try {
            limited(kind);
        } catch (int value) {
            std::printf("%d\n", value);
        }
    }
}
