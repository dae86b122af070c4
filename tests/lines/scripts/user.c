int user(int n) { return n + 5; }
