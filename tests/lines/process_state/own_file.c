// A program finds its own file, and starts it again in every way.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
extern char **environ;
static const char *LINK = "/proc/self/exe";

static void wait_for(pid_t child) {
    int status;
    waitpid(child, &status, 0);
    printf("ended with %d\n", WEXITSTATUS(status));
}

static void copy(const char *from, const char *to) {
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0755);
    char block[65536];
    ssize_t size;
    while ((size = read(in, block, sizeof block)) > 0)
        if (write(out, block, size) != size) abort();
    close(in);
    close(out);
}

int main(int argc, char **argv) {
    char path[PATH_MAX] = "", by_number[64], *again[] = {"renamed", "started", "with two words", 0};
    ssize_t size = readlink(LINK, path, sizeof path - 1);
    path[size < 0 ? 0 : size] = 0;
    snprintf(by_number, sizeof by_number, "/proc/%d/exe", getpid());
    const char *how = argc > 1 ? argv[1] : "";
    if (!strcmp(how, "started")) {
        printf("%s %d %s %s\n", argv[0], argc, argv[2], getenv("ONLY") ? getenv("ONLY") : "-");
        return 7;
    }
    if (!strcmp(how, "a copy")) {
        printf("%d %s\n", argc, argv[2]);
        return unlink(argv[0]);
    }
    fflush(stdout);
    char *only[] = {"ONLY=this", "PATH=/usr/bin:/bin", 0};
    if (!strcmp(how, "names")) {
        char other[PATH_MAX], part[4] = "", *made = realpath(LINK, 0);
        printf("%d", path[0] == '/');
        printf(" %d", !strcmp(basename(path), basename(argv[0])));
        printf(" %d", realpath(LINK, other) == other && !strcmp(other, path));
        printf(" %d", made && !strcmp(made, path));
        printf(" %d", readlink(LINK, part, 3) == 3 && !strncmp(part, path, 3) && !part[3]);
        printf(" %d", readlink(by_number, other, sizeof other) == size);
        printf(" %d", readlinkat(AT_FDCWD, LINK, other, sizeof other) == size);
        const char *executed = (const char *)getauxval(AT_EXECFN);
        printf(" %d\n", !strcmp(basename(executed), basename(path)));
        errno = 0;
        printf("%d %d\n", open(LINK, O_RDWR) < 0, errno == ETXTBSY);
        free(made);
        return 0;
    }
    if (!strcmp(how, "execl")) execl(LINK, "renamed", "started", "with two words", (char *)0);
    if (!strcmp(how, "execl_of_many"))
        execl(LINK, "renamed", "started", "third", "4", "5", "6", "7", "8", "9", (char *)0);
    if (!strcmp(how, "execle"))
        execle(LINK, "renamed", "started", "with two words", (char *)0, only);
    if (!strcmp(how, "execlp")) execlp(LINK, "renamed", "started", "with two words", (char *)0);
    if (!strcmp(how, "execv")) execv(path, again);
    if (!strcmp(how, "execve")) execve(by_number, again, only);
    if (!strcmp(how, "execvp")) execvp(path, again);
    if (!strcmp(how, "execvpe")) execvpe(LINK, again, only);
    if (!strcmp(how, "elsewhere") && !chdir("/")) execv(LINK, again);
    pid_t child;
    if (!strcmp(how, "fork")) {
        child = fork();
        if (!child) execv(LINK, again);
        wait_for(child);
        return 0;
    }
    if (!strcmp(how, "vfork")) {
        child = vfork();
        if (!child) {
            execv(LINK, again);
            _exit(1);
        }
        wait_for(child);
        return 0;
    }
    if (!strcmp(how, "posix_spawn")) {
        printf("%d\n", posix_spawn(&child, LINK, 0, 0, again, environ));
        wait_for(child);
        printf("%d\n", posix_spawnp(&child, path, 0, 0, again, only));
        wait_for(child);
        return 0;
    }
    if (!strcmp(how, "copied")) {
        char name[64];
        snprintf(name, sizeof name, "./copied.%d", getpid());
        copy(LINK, name);
        execl(name, name, "a copy", "of itself", (char *)0);
    }
    if (!strcmp(how, "other") && execl("/no/such/file", "x", (char *)0) < 0)
        printf("%d\n", errno == ENOENT);
    return 1;
}
