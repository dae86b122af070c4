int value(void) { return 8; }
