/* Zero in the library, too. */
int block[4];
long get(void) { return block[1]; }
void set(long value) { block[1] = value; }
