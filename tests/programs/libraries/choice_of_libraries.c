//# modes: one
//# needs: lib:z
//# build: printf '%s\n' -lm > libraries.rsp
//# link: main.o -Wl,-Bstatic -lz -Wl,-Bdynamic -Wl,--as-needed -lrt -Wl,--no-as-needed @libraries.rsp
// A static library among shared ones, libraries that are loaded only if they are used, and options
// from a file.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>
int main(int argc, char **argv) {
    Dl_info zlib;
    dladdr((void *)crc32, &zlib);
    printf("%lx %d\n", crc32(0, (const Bytef *)"hello", 5), strstr(zlib.dli_fname, "libz.so") == 0);
    printf("%.3f\n", cos(argc));
    return 0;
}
