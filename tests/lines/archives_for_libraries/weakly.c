/* Does without `helper`. */
int helper(void) __attribute__((weak));

int plugin(void) { return helper ? helper() : -1; }
