struct Cleanup {
    int *value;
    ~Cleanup() { ++*value; }
};
__attribute__((noinline)) void frame(int depth, int value) {
    if (depth == 0) throw value;
    Cleanup cleanup{&value};
    frame(depth - 1, value);
    asm volatile("");
}
