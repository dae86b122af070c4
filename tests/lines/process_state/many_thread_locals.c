// More thread-locals than a process has room for: the command starts itself again.
__thread char block[300000] = {1};
char *thread_local_block(void) { return block; }
