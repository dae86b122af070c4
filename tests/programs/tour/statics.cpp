// Static objects whose order of construction is set by priorities across files.

#include "tour.h"

__attribute__((init_priority(2000))) Traced late("statics.cpp, priority 2000");
__attribute__((init_priority(101))) Traced earliest("statics.cpp, priority 101");
Traced plain("statics.cpp, no priority");

__attribute__((constructor(300))) static void construct() { say("constructor function, priority 300"); }
__attribute__((destructor(300))) static void destruct() { say("destructor function, priority 300"); }
__attribute__((destructor)) static void destruct_last() { say("destructor function, no priority"); }
