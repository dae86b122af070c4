//# modes: few
//# build: $CC -shared -fPIC -o plugin.so plugin.c
//# link: main.o
//# native: -Wl,--gc-sections -Wl,--export-dynamic-symbol=host_* -Wl,--export-dynamic-symbol -Wl,[u-v]nused_by_mai?
//# jit: -Wl,--export-dynamic-symbol=host_* -Wl,--export-dynamic-symbol -Wl,[u-v]nused_by_mai?
// `--export-dynamic-symbol`: plug-ins and dlsym find what matches, and nothing else.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
int host_data = 10;
__thread int host_tls = 5;
int host_function(int x) { return x * 2; }
int unused_by_main(int x) { return x + 7; }
int not_exported(int x) { return x; }
int main(void) {
    void *plugin = dlopen("./plugin.so", RTLD_NOW);
    if (!plugin) {
        puts(dlerror());
        return 1;
    }
    int (*use)(int) = (int (*)(int))dlsym(plugin, "use");
    int used = use(4);
    printf("%d %d %d\n", used, host_data, host_tls);
    int (*unused)(int) = (int (*)(int))dlsym(RTLD_DEFAULT, "unused_by_main");
    printf("%d\n", unused ? unused(1) : -1);
    printf("%d\n", dlsym(RTLD_DEFAULT, "not_exported") == 0 && not_exported(1));
    Dl_info info;
    if (dladdr((void *)host_function, &info)) printf("%s %d\n", info.dli_sname, info.dli_saddr == (void *)host_function);
    return 0;
}
//--- plugin.c
extern int host_data, host_function(int);
extern __thread int host_tls;
int use(int x) {
    host_data++;
    host_tls++;
    return host_function(x) + host_data;
}
