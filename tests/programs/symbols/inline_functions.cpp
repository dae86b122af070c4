//# modes: few sections debug
//# archive: libmore.a = more.cpp
// One inline function, template instance, static member and local static in three objects: there is
// one of each at run time, and an exception passes through it.
#include <cstdio>
#include "shared.h"

int main() {
    count()++;
    int others = other_count();
    std::printf("%d %d\n", count(), others);
    std::printf("same address: %d %d\n", other_address() == &count, more_address() == &count);
    std::printf("same member: %d %d\n", other_member() == &Holder<int>::member, more_count());
    std::printf("same literal variable: %d\n", other_variable() == &variable);
    try {
        more_throw();
    } catch (int value) {
        std::printf("caught %d\n", value);
    }
    std::printf("destroyed last\n");
}
//--- shared.h
#pragma once
#include <cstdio>
struct Counter {
    int value = 0;
    ~Counter() { std::printf("counter destroyed at %d\n", value); }
};
inline int& count() {
    static Counter counter;
    return counter.value;
}
template <class T> struct Holder { static T member; };
template <class T> T Holder<T>::member = T(7);
inline int variable = 9;
inline void may_throw(int value, void (*next)(int)) {
    Counter local{value};
    if (value > 2) throw value;
    next(value + 1);
}
int other_count();
int& (*other_address())();
int* other_member();
int* other_variable();
int more_count();
int& (*more_address())();
void more_throw();
//--- other.cpp
#include "shared.h"
int other_count() { return ++count(); }
int& (*other_address())() { return &count; }
int* other_member() { return &Holder<int>::member; }
int* other_variable() { return &variable; }
//--- more.cpp
#include "shared.h"
static void again(int value) { may_throw(value, again); }
int more_count() { return ++count() + Holder<int>::member; }
int& (*more_address())() { return &count; }
void more_throw() { may_throw(0, again); }
