/*
 * Links an object file into this program and calls a function of it: `int add(int, int)`, which may call
 * `void note(const char *)` of this program.
 *
 *     cc -c object.c && cc example.c $(pkg-config --cflags --libs orcjit) && ./a.out object.o
 */
#include <orc_jit.h>

#include <stdio.h>
#include <stdlib.h>

static void check(OrcJitError *error) {
    if (error != NULL) {
        fprintf(stderr, "%s\n", orc_jit_error_message(error));
        orc_jit_error_free(error);
        exit(1);
    }
}

static void note(const char *text) {
    printf("note: %s\n", text);
}

int main(int argc, char **argv) {
    OrcJit *jit;
    OrcJitDylib *dylib;
    OrcJitTracker *tracker;
    OrcJitSymbol *symbol;

    if (argc != 2) {
        fprintf(stderr, "usage: %s OBJECT\n", argv[0]);
        return 2;
    }
    check(orc_jit_new(&jit));
    check(orc_jit_dylib_new(jit, "example", &dylib));
    check(orc_jit_dylib_define(dylib, NULL, "note", (const void *)note));

    /* What is added through a tracker can be removed. */
    check(orc_jit_tracker_new(dylib, &tracker));
    check(orc_jit_dylib_add_object_file(dylib, tracker, argv[1]));

    check(orc_jit_dylib_lookup(dylib, "add", &symbol));
    int (*add)(int, int) = (int (*)(int, int))orc_jit_symbol_pointer(symbol);
    printf("2 + 3 = %d\n", add(2, 3));

    /* The symbol keeps the code: it is there after its removal, until the symbol is freed. */
    check(orc_jit_tracker_remove(tracker));
    printf("3 + 4 = %d\n", add(3, 4));
    orc_jit_symbol_free(symbol);

    OrcJitError *error = orc_jit_dylib_lookup(dylib, "add", &symbol);
    printf("%s\n", error == NULL ? "still there" : orc_jit_error_message(error));
    orc_jit_error_free(error);

    check(orc_jit_dylib_close(dylib));
    orc_jit_tracker_free(tracker);
    orc_jit_dylib_free(dylib);
    orc_jit_free(jit);
    return 0;
}
