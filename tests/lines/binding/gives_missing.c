int missing(void) { return 3; }
