int block[4] __attribute__((weak)) = {1, 2, 3, 4};
long get(void) { return block[1]; }
void set(long value) { block[1] = value; }
