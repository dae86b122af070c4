//# archive: libcode.a = a.cpp b.cpp c.cpp d.cpp e.cpp
//# modes: few
// Classes spread over members that need one another's virtual tables and type information.
#include <cstdio>
#include "all.h"
int main() {
    for (int kind = 0; kind < 3; kind++) {
        A* a = make(kind);
        std::printf("%d %d %s\n", a->value(), dynamic_cast<C*>(a) != nullptr, a->text().c_str());
        delete a;
    }
}
//--- all.h
#pragma once
#include <string>
struct A { virtual ~A(); virtual int value() const; std::string text() const; };
struct B : virtual A { int value() const override; };
struct C : virtual A { int value() const override; };
struct D : B, C { int value() const override; };
A* make(int kind);
//--- a.cpp
#include "all.h"
A::~A() {}
int A::value() const { return 1; }
std::string A::text() const { return "value is " + std::to_string(value()); }
//--- b.cpp
#include "all.h"
int B::value() const { return 2; }
//--- c.cpp
#include "all.h"
int C::value() const { return 3; }
//--- d.cpp
#include "all.h"
int D::value() const { return B::value() + C::value() + 100; }
//--- e.cpp
#include "all.h"
A* make(int kind) {
    switch (kind) {
        case 0: return new B;
        case 1: return new C;
        default: return new D;
    }
}
