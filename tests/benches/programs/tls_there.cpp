struct Guarded {
    Guarded() : value(1) {}
    long value;
};
thread_local long number = 1;
thread_local Guarded guarded;
long next_of_guarded() { return ++guarded.value; }
