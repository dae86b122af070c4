//# archive: libstate.a = state.cpp unrelated.cpp
//# modes: few tlsdesc
// Thread-local objects with guards and wrappers, defined by an archive's member.
#include <cstdio>
#include <thread>
#include "state.h"

int main() {
    state.hits += 2;
    std::thread([] {
        state.hits += 5;
        std::printf("%s %d\n", state.name.c_str(), state.hits);
    }).join();
    std::printf("%s %d\n", state.name.c_str(), state.hits);
    inline_state.push_back('x');
    std::printf("%s %s\n", inline_state.c_str(), inline_state_elsewhere().c_str());
}
//--- state.h
#include <string>
struct State {
    State();
    ~State();
    std::string name;
    int hits = 0;
};
extern thread_local State state;
inline thread_local std::string inline_state = "inline";
std::string& inline_state_elsewhere();
//--- state.cpp
#include <cstdio>
#include "state.h"
State::State() : name("a name long enough to be on the heap") { std::puts("state constructed"); }
State::~State() { std::puts("state destroyed"); }
thread_local State state;
std::string& inline_state_elsewhere() { return inline_state; }
//--- unrelated.cpp
int unrelated_function() { return 1; }
