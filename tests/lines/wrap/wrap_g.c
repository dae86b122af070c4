int __wrap_g(void) { return 8; }
