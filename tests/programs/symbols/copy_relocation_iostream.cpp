//# modes: few nopie O2 debug noplt
// std::cout and its kin are data of libstdc++, and have virtual tables and thread-safe state.
#include <iomanip>
#include <iostream>
#include <stdexcept>
#include <typeinfo>
int main() {
    std::cout << "cout " << 1.5 << ' ' << std::setw(5) << std::setfill('*') << 42 << std::endl;
    std::cerr << "cerr" << std::endl;
    std::clog << "clog" << std::endl;
    std::ostream* streams[] = {&std::cout, &std::cerr};
    *streams[0] << typeid(std::runtime_error).name() << ' ' << (typeid(int) == typeid(signed)) << '\n';
    std::wcerr << L"wide\n";
    int number;
    std::cin >> number;
    std::cout << (std::cin.fail() ? "no input" : "input") << ' ' << std::cin.eof() << '\n';
    std::cout << std::uppercase << std::hex << 48879 << '\n';
}
