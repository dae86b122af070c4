/* Counts which lines run (--coverage): a child ends, and its parent looks for what it has left. */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int found(const char *pattern, int remove) {
    glob_t names;
    int count = glob(pattern, 0, NULL, &names) == 0 ? (int)names.gl_pathc : 0;
    for (int i = 0; remove && i < count; i++) unlink(names.gl_pathv[i]);
    return count;
}

int main(void) {
    found("*counted.gcda", 1);
    if (fork() == 0) exit(0);
    wait(NULL);
    printf("%d\n", found("*counted.gcda", 0));
    return 0;
}
