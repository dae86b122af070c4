int in_archive(void) { return 3; }
