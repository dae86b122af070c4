// Constructors that throw destroy their finished members; function-try-blocks see the exception.
#include <cstdio>
#include <initializer_list>
#include <memory>
struct Part {
    explicit Part(int number, bool fail = false) : number(number) {
        if (fail) throw number;
        std::printf("+%d\n", number);
    }
    ~Part() { std::printf("-%d\n", number); }
    int number;
};
struct Whole : Part {
    Part a, b;
    Part array[2] = {Part(4), Part(5)};
    explicit Whole(bool fail) try : Part(1), a(2), b(3), last(6, fail) {
        std::puts("constructed");
    } catch (int number) {
        std::printf("failed at %d\n", number);
        throw number * 10;
    }
    Part last;
};
int main() {
    for (bool fail : {false, true}) {
        try {
            std::unique_ptr<Whole> whole(new Whole(fail));
        } catch (int number) {
            std::printf("caught %d\n", number);
        }
    }
}
