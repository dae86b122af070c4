//# modes: few O2
//# shared: libouter.so = outer.c
// Hidden symbols are seen by every object of the program, and by no library.
#include <stdio.h>
int hidden_function(void) __attribute__((visibility("hidden")));
extern int hidden_data __attribute__((visibility("hidden")));
int protected_function(void);
int internal_function(void) __attribute__((visibility("internal")));
int (*outer_hidden(void))(void);
int main(void) {
    printf("%d %d %d %d\n", hidden_function(), hidden_data, protected_function(), internal_function());
    printf("the library sees it: %d\n", outer_hidden() != 0);
    int (*volatile pointer)(void) = hidden_function;
    printf("%d\n", pointer());
    return 0;
}
//--- other.c
__attribute__((visibility("hidden"))) int hidden_function(void) { return 1; }
__attribute__((visibility("hidden"))) int hidden_data = 2;
__attribute__((visibility("protected"))) int protected_function(void) { return 3; }
__attribute__((visibility("internal"))) int internal_function(void) { return 4; }
//--- outer.c
extern int hidden_function(void) __attribute__((weak));
int (*outer_hidden(void))(void) { return hidden_function; }
