#include "tour.h"

std::string Overflow::what() const { return "overflow at " + std::to_string(at); }

int sum_to(int depth, int at) {
    if (depth == at)
        throw Overflow(at);
    if (depth == 0)
        return 0;
    std::string local(20, 'x');  // has a destructor, so that each frame has a landing pad
    return sum_to(depth - 1, at) + static_cast<int>(local.size()) + depth - 20;
}
