//# flags: -g -gz
//# modes: default
// Debug information does not matter to the program, compressed or not.
#include <cstdio>
int main() { std::puts("compressed"); }
