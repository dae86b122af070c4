#include <cstdio>
#include <stdexcept>
extern "C" int from_c() {
    try {
        throw 1;
    } catch (int value) {
        return value;
    }
}
