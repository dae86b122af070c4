#include <stdio.h>
int middle(int), plain(int), overridden(void);
extern int maybe(void) __attribute__((weak));
int common_variable __attribute__((common));
__attribute__((visibility("hidden"))) int hidden_variable = 4;
__thread int per_thread = 5;
int kept_for_plain(void) { return 100; }
int main(int count, char **names)
{
    common_variable += count;
    printf("%d %d %d %d %d %s\n", middle(2) + plain(1), overridden(), common_variable, hidden_variable,
           per_thread, maybe ? "there" : "absent");
    return count > 1 ? names[1][0] : 3;
}
