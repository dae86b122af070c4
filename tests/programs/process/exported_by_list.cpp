//# modes: few
//# build: printf '/* of C */ { plain; quoted; };\n# of C++\n{ extern "C++" { "geometry::area(int, int)"; *::volume*; }; };\n' > first.list
//# build: printf '{ second_[!x]; };' > second.list
//# link: main.o
//# native: -Wl,--gc-sections -Wl,--dynamic-list=first.list -Wl,--export-dynamic-symbol-list=second.list
//# jit: -Wl,--dynamic-list=first.list -Wl,--export-dynamic-symbol-list=second.list
// `--dynamic-list` and `--export-dynamic-symbol-list`: dlsym finds what the files list.
#include <cstdio>
#include <dlfcn.h>
extern "C" int plain() { return 1; }
extern "C" int quoted() { return 2; }
extern "C" int second_a() { return 3; }
extern "C" int second_x() { return 4; }
namespace geometry {
int area(int a, int b) { return a * b; }
int area(int a) { return a * a; }
int volume(int a) { return a * a * a; }
} // namespace geometry
int main() {
    const char* names[] = {"plain", "quoted", "second_a", "second_x", "_ZN8geometry4areaEii", "_ZN8geometry4areaEi", "_ZN8geometry6volumeEi"};
    for (const char* name : names) std::printf("%s %d\n", name, dlsym(RTLD_DEFAULT, name) != nullptr);
    return second_x() - 4 + geometry::area(0);
}
