// Exceptions thrown in `deep.cpp` and caught here, rethrown, nested, and carried around.

#include <exception>
#include <stdexcept>

#include "tour.h"

namespace {

void rethrow() {
    try {
        sum_to(5, 1);
    } catch (Failure&) {
        Traced cleanup("destroyed while the exception passes");
        throw;
    }
}

void nest() {
    try {
        rethrow();
    } catch (...) {
        std::throw_with_nested(std::runtime_error("outer"));
    }
}

}  // namespace

void exceptions() {
    say("sum without an exception: %d", sum_to(4, 100));
    try {
        sum_to(5, 3);
    } catch (const Failure& failure) {
        say("caught by its base: %s", failure.what().c_str());
    }
    try {
        nest();
    } catch (const std::exception& outer) {
        try {
            std::rethrow_if_nested(outer);
        } catch (const Overflow& inner) {
            say("caught %s with %s inside", outer.what(), inner.what().c_str());
        }
    }
    shared_counter()++;
}
