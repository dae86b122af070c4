/* What GNU ld defines for each section of a program. */
#include <stdio.h>

extern char items_start[] __asm__(".startof.items"), items_size[] __asm__(".sizeof.items");
extern char data_start[] __asm__(".startof..data"), data_size[] __asm__(".sizeof..data");
extern char text_size[] __asm__(".sizeof..text");
extern char none_start[] __asm__(".startof.none") __attribute__((weak));
extern char none_size[] __asm__(".sizeof.none") __attribute__((weak));

int initialized = 7;
__attribute__((section("items"), used)) int all_items[] = {1, 2, 3};

/* In position-independent code, a number that is referred to as a place comes out moved. */
char *volatile sizes[] = {items_size, data_size, text_size};
char *volatile starts[] = {items_start, data_start, none_start, none_size};

int main(void) {
    char *items = (char *)all_items, *data = (char *)&initialized;
    printf("%d %d\n", starts[0] == items, (int)(long)sizes[0]);
    printf("%d %d\n", starts[1] <= data, data < starts[1] + (long)sizes[1]);
    printf("%d\n", 0 < (long)sizes[2] && (long)sizes[2] < 1 << 20);
    printf("%d %d\n", starts[2] == NULL, starts[3] == NULL);
    return 0;
}
