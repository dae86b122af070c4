//# modes: one
//# expect-exit: 200
int main(void) { return 200; }
