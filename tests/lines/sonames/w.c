#if VALUE == 2
/* The real one has more in it, and in other places. */
int first[100] = {1, 2, 3};
const char *more = "more";
const char *const text = "real";
#else
const char *const text = "stub";
#endif
int number = VALUE;
int which(void) { return VALUE; }
