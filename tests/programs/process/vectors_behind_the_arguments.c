//# modes: one
//# args: first second
//# linux: elf.h is of Linux
// The environment and the auxiliary vector follow the arguments in memory, as the kernel lays them
// out: Go's runtime, among others, finds them there, in an initializer.
#include <elf.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>
extern char **environ;
static int constructed;
static int follows(int argc, char **argv) {
    char **entry = argv + argc + 1;
    int same = argv[argc] == 0;
    for (int i = 0; environ[i]; i++)
        same &= *entry != 0 && strcmp(*entry++, environ[i]) == 0;
    same &= *entry++ == 0;
    int found = 0;
    for (Elf64_auxv_t *aux = (Elf64_auxv_t *)entry; aux->a_type != AT_NULL; aux++)
        found += aux->a_type == AT_PAGESZ && aux->a_un.a_val == (unsigned long)sysconf(_SC_PAGESIZE);
    return same && found == 1;
}
__attribute__((constructor)) static void construct(int argc, char **argv) { constructed = follows(argc, argv); }
int main(int argc, char **argv) {
    printf("%d %d %d\n", argc, constructed, follows(argc, argv));
    return 0;
}
