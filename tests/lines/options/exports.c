#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
int visible(void) { return 1; }
int hidden_by_script(void) { return 2; }
int in_archive(void);
int (*keep)(void) = in_archive;
static void look(const char *name) { printf("%s %s\n", name, dlsym(RTLD_DEFAULT, name) ? "found" : "absent"); }
int main(void) {
    look("visible");
    look("hidden_by_script");
    look("in_archive");
    return 0;
}
