//# needs: clang-runtime:profile
//# compilers: clang
//# modes: one
//# flags: -fprofile-instr-generate
//# build: cp $($CC -print-file-name=libclang_rt.profile-$($CC -dumpmachine | cut -d- -f1).a) profile.a
//# native: -fprofile-instr-generate
//# jit: -u __llvm_profile_runtime profile.a
//# env: LLVM_PROFILE_FILE=counters.profraw
// clang's counters: an archive's member writes them, and only `-u` asks for it.
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
int main(void) {
    remove("counters.profraw");
    pid_t child = fork();
    if (child == 0) exit(0);
    waitpid(child, 0, 0);
    FILE *counters = fopen("counters.profraw", "rb");
    unsigned char magic[8] = {0};
    printf("%d\n", counters && fread(magic, 1, sizeof magic, counters) == 8);
    for (int i = 0; i < 8; i++) printf("%02x", magic[i]);
    puts("");
    return 0;
}
