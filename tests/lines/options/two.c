int value(void) { return 2; }
int uses_value(void) { return value(); }
