int lstat(int number) { return number + 10; }
