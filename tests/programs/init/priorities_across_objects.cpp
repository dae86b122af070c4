//# modes: few sections
//# archive: libpulled.a = pulled.cpp never.cpp
//# linux: macOS knows priorities within one object alone
// Constructors run by priority across objects, then in link order; destructors in reverse.
#include <cstdio>
#include "traced.h"
__attribute__((init_priority(500))) static Traced a("main 500");
static Traced b("main");
__attribute__((init_priority(200))) static Traced c("main 200");
void pull();
int main() { pull(); std::puts("main"); }
//--- traced.h
#include <cstdio>
struct Traced {
    explicit Traced(const char* name) : name(name) { std::printf("+%s\n", name); }
    ~Traced() { std::printf("-%s\n", name); }
    const char* name;
};
//--- other.cpp
#include "traced.h"
static Traced a("other");
__attribute__((init_priority(65535))) static Traced d("other 65535");
__attribute__((init_priority(200))) static Traced b("other 200");
__attribute__((init_priority(101))) static Traced c("other 101");
//--- pulled.cpp
#include "traced.h"
static Traced a("pulled");
__attribute__((init_priority(300))) static Traced b("pulled 300");
void pull() { std::puts("pull"); }
//--- never.cpp
#include "traced.h"
static Traced a("never");
void never() {}
