//# compilers: clang
//# flags: -Wa,--crel,--allow-experimental-crel
//# native: -fuse-ld=lld
//# modes: one pic O2
// Compact relocation sections (`SHT_CREL`) throughout: code, data, exception tables, thread-locals.
#include <cstdio>
#include <map>
#include <stdexcept>
#include <string>
thread_local std::string name = "thread";
static const char* const texts[] = {"one", "two", "three"};
int main() {
    std::map<std::string, int> lengths;
    for (auto text : texts)
        lengths[text] = (int)std::string(text).size();
    try {
        lengths.at("four");
    } catch (const std::out_of_range&) {
        std::printf("%zu %d %s\n", lengths.size(), lengths["three"], name.c_str());
    }
}
