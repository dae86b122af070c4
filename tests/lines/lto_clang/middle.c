int from_archive(int);
int middle(int x) { return from_archive(x) * 2; }
__attribute__((weak)) int overridden(void) { return 1; }
