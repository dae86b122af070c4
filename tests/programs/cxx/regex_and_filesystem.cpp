//# flags: -std=c++17
//# modes: default
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <regex>
#include <unistd.h>
#include <vector>
int main() {
    std::regex pattern("(\\w+)@(\\w+)\\.(com|org)");
    std::string text = "ann@example.com, bob@site.org; nobody@nowhere";
    for (std::sregex_iterator it(text.begin(), text.end(), pattern), end; it != end; ++it)
        std::cout << (*it)[1] << " at " << (*it)[2] << '\n';
    std::cout << std::regex_replace(text, std::regex("[aeiou]"), "_") << '\n';
    try {
        std::regex bad("(");
    } catch (const std::regex_error&) {
        std::cout << "bad pattern\n";
    }
    namespace fs = std::filesystem;
    fs::path root = fs::temp_directory_path() / ("filesystem-test-" + std::to_string(getpid()));
    fs::create_directories(root / "a" / "b");
    std::ofstream(root / "a" / "file.txt") << "12345";
    std::vector<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(root)) names.push_back(entry.path().lexically_relative(root));
    std::sort(names.begin(), names.end());
    for (const auto& name : names) std::cout << name << '\n';
    std::cout << fs::file_size(root / "a" / "file.txt") << ' ' << fs::remove_all(root) << '\n';
    try {
        fs::file_size(root);
    } catch (const fs::filesystem_error& error) {
        std::cout << (error.code() == std::errc::no_such_file_or_directory) << '\n';
    }
}
