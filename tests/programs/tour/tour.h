// Shared by the files of the tour.
#pragma once

#include <string>

/// Prints one line, so that lines of C and C++ streams come out in order.
__attribute__((format(printf, 1, 2))) void say(const char* format, ...);

/// Announces its own construction and destruction.
struct Traced {
    explicit Traced(const char* name);
    ~Traced();
    const char* name;
};

/// Thrown in one object and caught in another, so both must agree on its type information.
struct Failure {
    virtual ~Failure() = default;
    virtual std::string what() const = 0;
};

struct Overflow : Failure {
    explicit Overflow(int at) : at(at) {}
    std::string what() const override;
    int at;
};

/// Throws an `Overflow` when it has called itself `depth` times.
int sum_to(int depth, int at);

/// Defined inline in every object that uses it, and merged into one.
inline int& shared_counter() {
    static int counter = 0;
    return counter;
}

void exceptions();
void callbacks();
void threads();
void streams();
void shapes();
