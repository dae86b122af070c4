#include <cstdarg>
#include <cstdio>

#include "tour.h"

void say(const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    std::vprintf(format, arguments);
    va_end(arguments);
    std::putchar('\n');
    std::fflush(stdout);
}

Traced::Traced(const char* name) : name(name) { say("+ %s", name); }
Traced::~Traced() { say("- %s", name); }
