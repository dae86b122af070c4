//# modes: few nopie O2
//# shared: libthrower.so = thrower.cpp
//# archive: libmiddle.a = middle.cpp
// Type information is shared by the program, an archive and a shared library, in both directions.
#include <cstdio>
#include <stdexcept>
#include "problem.h"
int main() {
    try {
        library_throw(1);
    } catch (const Problem& problem) {
        std::printf("program caught %d\n", problem.code);
    }
    std::printf("library caught %d\n", library_catch([] { throw Problem(2); }));
    try {
        middle([] { library_throw(3); });
    } catch (const DerivedProblem& problem) {
        std::printf("through everything %d\n", problem.code);
    }
    try {
        library_catch([] { throw std::runtime_error("passes through the library"); });
    } catch (const std::exception& error) {
        std::printf("%s\n", error.what());
    }
}
//--- problem.h
#pragma once
struct Problem {
    explicit Problem(int code) : code(code) {}
    virtual ~Problem() {}
    int code;
};
struct DerivedProblem : Problem { using Problem::Problem; };
void library_throw(int code);
int library_catch(void (*callback)());
void middle(void (*callback)());
//--- middle.cpp
#include "problem.h"
#include <cstdio>
void middle(void (*callback)()) {
    try {
        callback();
    } catch (Problem& problem) {
        std::printf("middle caught %d\n", problem.code);
        throw DerivedProblem(problem.code * 10);
    }
}
//--- thrower.cpp
#include "problem.h"
void library_throw(int code) { throw Problem(code); }
int library_catch(void (*callback)()) {
    try {
        callback();
    } catch (Problem& problem) {
        return problem.code;
    }
    return -1;
}
