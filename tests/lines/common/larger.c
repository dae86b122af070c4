int block[40];
int (*larger(void))[40] { return &block; }
int (*(*keeps_larger)(void))[40] = larger;
