// Uses `libshapes.a`: only the members that something refers to are in the program.

#include <typeinfo>

#include "shapes/shape.h"
#include "tour.h"

void shapes() {
    Shape* all[] = {make_circle(2), make_square(3)};
    for (Shape* shape : all) {
        say("%s of area %.2f", shape->name(), shape->area());
        say("  %s", dynamic_cast<Round*>(shape) ? "is round" : "has corners");
        delete shape;
    }
    say("%d shapes were registered", registered_shapes());
    say("the shared counter is %d", shared_counter());
}
