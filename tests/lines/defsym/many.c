/* More names than a small program has, and one that the program gives a definition of its own. */
#define FOUR(name) int name##0(void) { return 0; } int name##1(void) { return 1; } \
    int name##2(void) { return 2; } int name##3(void) { return 3; }
#define SIXTEEN(name) FOUR(name##0) FOUR(name##1) FOUR(name##2) FOUR(name##3)
#define SIXTY_FOUR(name) SIXTEEN(name##0) SIXTEEN(name##1) SIXTEEN(name##2) SIXTEEN(name##3)
SIXTY_FOUR(first) SIXTY_FOUR(second) SIXTY_FOUR(third) SIXTY_FOUR(fourth)
int hook(int n) { return -n; }
int calls_back(int n) { return hook(n) + 1; }
