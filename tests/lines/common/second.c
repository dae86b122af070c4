int block[4];
int *second(void) { return block; }
int *(*keeps_second)(void) = second;
