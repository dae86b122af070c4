// A member that nothing refers to: it is not pulled, so its constructor must not run, and the
// symbol that it misses is no error.

#include "../tour.h"

void defined_nowhere();

static bool constructed = [] {
    say("the constructor of a member that was not pulled ran");
    defined_nowhere();
    return true;
}();

int unused_member() { return constructed; }
