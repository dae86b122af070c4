int from_library(int n) { return n + 500; }
int hook(int);
int calls_back(int n) { return hook(n) + 1; }
