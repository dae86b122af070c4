//# modes: all
//# flags: -std=c++17
//# archive: libshapes.a = shapes/circle.cpp shapes/square.cpp shapes/registry.cpp shapes/unused.cpp
//# args: one two
//# linux: macOS knows priorities within one object alone

// A tour of what a linked C++ program takes for granted. Its files exercise one thing each and
// print what they do; a program that the system's linker made prints the same lines in the same
// order, from the first static constructor to the last destructor.

#include <cstdio>
#include <cstdlib>
#include <iostream>

#include "tour.h"

Traced first_in_main("main.cpp, no priority");
__attribute__((init_priority(150))) Traced early_in_main("main.cpp, priority 150");

namespace {

void at_exit_1() { say("atexit: registered first, runs last"); }
void at_exit_2() { say("atexit: registered second"); }

}  // namespace

int main(int argc, char** argv) {
    say("main starts with %d arguments", argc - 1);
    for (int i = 1; i < argc; i++)
        std::cout << "  argument " << i << ": " << argv[i] << std::endl;

    std::atexit(at_exit_1);
    exceptions();
    callbacks();
    threads();
    streams();
    shapes();
    std::atexit(at_exit_2);

    static Traced local("main.cpp, local to main");
    say("main returns");
    return 0;
}
