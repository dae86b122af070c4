//# modes: few sections
// Type information shared by objects: casts up, down, across, to void, and typeid comparisons.
#include <cstdio>
#include <typeindex>
#include <unordered_map>
#include "types.h"
int main() {
    for (int kind = 0; kind < 4; kind++) {
        Root* root = make(kind);
        std::printf("%d: left %d right %d both %d typeid %d void %d\n", kind, dynamic_cast<Left*>(root) != nullptr,
                    dynamic_cast<Right*>(root) != nullptr, dynamic_cast<Both*>(root) != nullptr,
                    typeid(*root) == typeid(Both), dynamic_cast<void*>(root) == whole(root));
        if (auto* side = dynamic_cast<Side*>(root)) std::printf("   across %d\n", side->side());
        delete root;
    }
    std::unordered_map<std::type_index, int> map{{typeid(Left), 1}, {typeid(Right), 2}};
    Root* left = make(1);
    std::printf("%d\n", map[typeid(*left)]);
    delete left;
    try {
        Root root;
        (void)dynamic_cast<Both&>(root);
    } catch (const std::bad_cast&) {
        std::puts("bad cast");
    }
}
//--- types.h
#pragma once
#include <typeinfo>
struct Root { virtual ~Root() = default; };
struct Side { virtual ~Side() = default; virtual int side() { return 5; } };
struct Left : virtual Root { int l = 1; };
struct Right : virtual Root { int r = 2; };
struct Both final : Left, Right, Side { int side() override { return l + r; } };
Root* make(int kind);
void* whole(Root*);
//--- types.cpp
#include "types.h"
Root* make(int kind) {
    switch (kind) {
        case 0: return new Root;
        case 1: return new Left;
        case 2: return new Right;
        default: return new Both;
    }
}
void* whole(Root* root) { return dynamic_cast<void*>(root); }
