//# modes: few nopie
//# shared: libbase.so = base.c
// The program's definitions of functions and data win inside a shared library that has its own.
#include <stdio.h>
int hook(void) { return 100; }
int setting = 200;
int call_hook(void);
int read_setting(void);
int *address_of_setting(void);
int main(void) {
    printf("%d %d %d\n", call_hook(), read_setting(), address_of_setting() == &setting);
    setting = 7;
    printf("%d\n", read_setting());
    return 0;
}
//--- base.c
int hook(void) { return 1; }
int setting = 2;
int call_hook(void) { return hook(); }
int read_setting(void) { return setting; }
int *address_of_setting(void) { return &setting; }
