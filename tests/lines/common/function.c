/* The name is that of a function here. */
static int own[4];
void block(void) {}
long get(void) { return own[1]; }
void set(long value) { own[1] = value; }
