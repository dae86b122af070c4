#include <stdio.h>
struct item { int value; };
extern struct item __start_items[] __attribute__((weak)), __stop_items[] __attribute__((weak));
int main(void) {
    int sum = 0;
    for (struct item *i = __start_items; i != __stop_items; i++) sum += i->value;
    printf("%d\n", sum);
    return 0;
}
