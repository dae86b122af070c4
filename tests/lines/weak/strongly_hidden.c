int wf(void) __attribute__((visibility("hidden")));
int foo(void);

int main(void) { return foo() + wf(); }
