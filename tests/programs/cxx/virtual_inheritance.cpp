//# modes: few
// Construction tables, thunks and covariant returns of virtual bases in two objects.
#include <cstdio>
#include "bases.h"
struct Final : Middle1, Middle2 {
    Final() { std::printf("Final sees %s\n", name()); }
    ~Final() override { std::printf("~Final sees %s\n", name()); }
    const char* name() const override { return "Final"; }
    Final* clone() const override { return new Final(*this); }
};
int main() {
    Base* base = new Final;
    Base* copy = base->clone();
    std::printf("%s %d\n", copy->name(), static_cast<Final*>(dynamic_cast<Final*>(copy))->number);
    delete copy;
    delete base;
}
//--- bases.h
#pragma once
struct Base {
    Base();
    virtual ~Base();
    virtual const char* name() const { return "Base"; }
    virtual Base* clone() const = 0;
    int number = 3;
};
struct Middle1 : virtual Base {
    Middle1();
    const char* name() const override { return "Middle1"; }
    Middle1* clone() const override = 0;
    long padding1 = 1;
};
struct Middle2 : virtual Base {
    Middle2();
    const char* name() const override { return "Middle2"; }
    Middle2* clone() const override = 0;
    long padding2 = 2;
};
//--- bases.cpp
#include "bases.h"
#include <cstdio>
Base::Base() { std::puts("Base"); }
Base::~Base() { std::puts("~Base"); }
Middle1::Middle1() { std::printf("Middle1 sees %s\n", name()); }
Middle2::Middle2() { std::printf("Middle2 sees %s\n", name()); }
