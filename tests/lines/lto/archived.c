int from_archive(int x) { return x + 10; }
