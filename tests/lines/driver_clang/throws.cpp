#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>
int main()
{
    std::vector<std::string> words{"a", "b"};
    try { words.at(5); } catch (const std::out_of_range &) { std::cout << "out of range\n"; }
    try { throw std::runtime_error("thrown"); } catch (const std::exception &error) { std::cout << error.what() << std::endl; }
#ifdef _LIBCPP_VERSION
    std::cout << "libc++\n";
#endif
    return 0;
}
