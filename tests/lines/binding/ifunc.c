static int four(void) { return 4; }
static int (*resolve(void))(void) { return four; }
int indirect(void) __attribute__((ifunc("resolve")));
