//# modes: one
//# linux: macOS has WIFEXITED and its like for variables alone
// system, popen and exec: children inherit nothing they would not from a linked program.
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
int main(void) {
    char line[100] = "";
    FILE *pipe = popen("echo from a shell", "r");
    if (!pipe || !fgets(line, sizeof line, pipe)) return 1;
    printf("%s%d\n", line, pclose(pipe));
    printf("%d\n", WEXITSTATUS(system("exit 3")));
    fflush(stdout);
    return WEXITSTATUS(system("ls /proc/self/fd | wc -l"));
}
