int kept_for_plain(void);
int plain(int x) { return x + kept_for_plain(); }
