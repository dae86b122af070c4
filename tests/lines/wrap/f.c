int f(int n) { return n + 10; }
int calls_itself(int n) { return f(n); }
