#include <iostream>
#include <stdexcept>

int main() {
    try {
        throw std::runtime_error("thrown");
    } catch (const std::exception &e) {
        std::cout << "caught " << e.what() << '\n';
    }
}
