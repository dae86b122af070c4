extern int table[3];

int plugin(void) { return table[1]; }
