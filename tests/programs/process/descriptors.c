//# modes: one
//# executor: in-process, an executor has a thread that receives
//# linux: gettid is of Linux
// The program finds the descriptors it was given and no others, and is alone in its process.
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
static int count_entries(const char *path) {
    int count = 0;
    DIR *directory = opendir(path);
    while (directory && readdir(directory)) count++;
    if (directory) closedir(directory);
    return count - 2;
}
int main(void) {
    printf("threads %d\n", count_entries("/proc/self/task"));
    int next = open("/dev/null", O_RDONLY);
    printf("next descriptor %d\n", next);
    printf("%d\n", getpid() == gettid());
    return 0;
}
