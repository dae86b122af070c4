int nothing_of_this(void) { return 0; }
