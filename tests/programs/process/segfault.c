//# modes: one
//# expect-signal: 11
int main(void) { return *(volatile int *)16; }
