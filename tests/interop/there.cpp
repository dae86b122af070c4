// Throws from another object.
#include <stdexcept>
#include <string>

int thrower(int depth) {
    std::string local(20, 'x');
    if (depth == 0) throw std::out_of_range("out of " + std::to_string(local.size()));
    return thrower(depth - 1) + 1;
}
