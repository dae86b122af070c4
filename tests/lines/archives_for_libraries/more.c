int more(void) { return 60; }
