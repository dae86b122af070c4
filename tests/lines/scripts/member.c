int member(int n) { return n + 300; }
