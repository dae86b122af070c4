int __wrap_f(int n) { return n - 1; }
