int needed(void) { return 7; }
