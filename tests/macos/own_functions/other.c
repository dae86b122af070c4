extern int puts(const char *text);
int strlcpy(char *text, int a, int b) { return text[0] == 'x' ? a * b : 0; }
void warn(int number, const char *text) { puts(number == 7 ? text : "wrong"); }
