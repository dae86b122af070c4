/* Takes `helper` from whoever has it. */
int helper(void);

int plugin(void) { return helper() + 1; }
