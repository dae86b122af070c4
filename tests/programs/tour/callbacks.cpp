// An exception that passes through frames of the C library: `qsort` calls back into this file.

#include <cstdlib>

#include "tour.h"

namespace {

int comparisons = 0;

extern "C" int compare(const void* left, const void* right) {
    comparisons++;
    return *static_cast<const int*>(left) - *static_cast<const int*>(right);
}

extern "C" int compare_or_throw(const void* left, const void* right) {
    if (*static_cast<const int*>(left) == 9 || *static_cast<const int*>(right) == 9)
        throw Overflow(9);
    return compare(left, right);
}

}  // namespace

void callbacks() {
    int numbers[] = {5, 3, 8, 1, 9, 2};
    std::qsort(numbers, 6, sizeof(int), compare);
    say("sorted: %d %d %d %d %d %d", numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5]);
    say("compared: %s", comparisons > 4 ? "yes" : "no");
    try {
        std::qsort(numbers, 6, sizeof(int), compare_or_throw);
        say("not reached");
    } catch (const Overflow& overflow) {
        say("through qsort: %s", overflow.what().c_str());
    }
    shared_counter()++;
}
