int one(int n) { return n + 1; }
__attribute__((weak)) int two(int n) { return n + 2; }
__attribute__((visibility("hidden"))) int secret(int n) { return n + 40; }
static int unused(int n) { return n; }
int (*keep)(int) = unused;
