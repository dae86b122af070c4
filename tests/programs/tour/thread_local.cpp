// Thread-locals that other files reach through their symbols.

#include "tour.h"

struct Announced {
    Announced() { say("thread-local object of the main thread constructed"); }
    ~Announced() { say("thread-local object of the main thread destroyed"); }
    void touch() {}
};

thread_local int defined_elsewhere = 1000;
static thread_local Announced announced;

void touch_thread_local() { announced.touch(); }
