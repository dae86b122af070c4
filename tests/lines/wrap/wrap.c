int __real_f(int);
int __wrap_f(int n) { return __real_f(n) * 100; }
