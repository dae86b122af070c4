//# native: -rdynamic
//# jit: -rdynamic
//# modes: few
// dlsym, dladdr and dlopen(NULL) find what the program defines.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
int exported(int x) { return x + 1; }
int exported_data = 6;
static int hidden_from_lookup(void) { return 1; }
int main(void) {
    int (*function)(int) = (int (*)(int))dlsym(RTLD_DEFAULT, "exported");
    int *data = dlsym(RTLD_DEFAULT, "exported_data");
    printf("%d %d\n", function == exported, data == &exported_data);
    void *self = dlopen(0, RTLD_NOW);
    printf("%d %d\n", self != 0, dlsym(self, "exported") == (void *)exported);
    printf("%d\n", dlsym(RTLD_DEFAULT, "hidden_from_lookup") == 0 && hidden_from_lookup());
    printf("%d\n", dlsym(RTLD_DEFAULT, "not_there_at_all") == 0 && strstr(dlerror(), "not_there_at_all") != 0);
    Dl_info info;
    if (dladdr((void *)((char *)exported + 2), &info)) printf("%s %d\n", info.dli_sname, info.dli_saddr == (void *)exported);
    return 0;
}
