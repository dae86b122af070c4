// iostreams: objects of libstdc++ that the program reads and writes.

#include <algorithm>
#include <iomanip>
#include <iostream>
#include <map>
#include <sstream>
#include <vector>

#include "tour.h"

void touch_thread_local();

void streams() {
    std::cout << std::hex << std::showbase << 255 << std::dec << ' ' << std::setprecision(3) << 3.14159 << ' '
              << std::boolalpha << true << std::endl;
    std::map<std::string, int> lengths;
    std::istringstream words("the quick brown fox jumps");
    for (std::string word; words >> word;)
        lengths[word] = static_cast<int>(word.size());
    for (const auto& [word, length] : lengths)
        std::cout << word << '=' << length << ' ';
    std::cout << std::endl;

    std::istringstream bad("not a number");
    bad.exceptions(std::ios::failbit);
    try {
        int number;
        bad >> number;
    } catch (const std::ios_base::failure&) {
        std::cout << "a stream threw" << std::endl;
    }
    std::cerr << "this goes to standard error" << std::endl;
    touch_thread_local();
    shared_counter()++;
}
