// The interface of `libshapes.a`.
#pragma once

struct Shape {
    virtual ~Shape() = default;
    virtual const char* name() const = 0;
    virtual double area() const = 0;
};

struct Round {
    virtual ~Round() = default;
};

Shape* make_circle(double radius);
Shape* make_square(double side);

/// Called by the static constructors of the archive's members.
bool register_shape(const char* name);
int registered_shapes();
