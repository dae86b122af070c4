//# compilers: gcc
//# shared: libplugin.so = plugin.cpp
// Local statics of inline functions (`STB_GNU_UNIQUE`): one in the program and its libraries.
#include <cstdio>
#include "unique.h"
int plugin_next();
int main() {
    int a = next(), b = plugin_next(), c = next();
    std::printf("%d %d %d\n", a, b, c);
}
//--- unique.h
#pragma once
template <class T> struct Box { static T value; };
template <class T> T Box<T>::value = 100;
inline int next() {
    static int counter = Box<int>::value;
    return ++counter;
}
//--- plugin.cpp
#include "unique.h"
int plugin_next() { return next(); }
