int which(void);

int through(void) { return which() * 100; }
