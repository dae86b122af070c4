//# shared: libfirst.so = first.cpp
//# modes: few nopie
// Libraries are constructed before the program and destroyed after it.
#include <cstdio>
#include "traced.h"
static Traced program("program");
int library_function();
int main() { std::printf("main %d\n", library_function()); }
//--- traced.h
#include <cstdio>
struct Traced {
    explicit Traced(const char* name) : name(name) { std::printf("+%s\n", name); std::fflush(stdout); }
    ~Traced() { std::printf("-%s\n", name); std::fflush(stdout); }
    const char* name;
};
//--- first.cpp
#include "traced.h"
static Traced library("library");
int library_function() { return 8; }
