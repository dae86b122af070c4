//! Shared libraries that a program cannot have.

use super::*;

/// A program that uses `libnamed.so`, which has another name for the loader.
fn with_library() -> Scratch {
    let scratch = Scratch::new();
    scratch.compile(
        "main.o",
        "int value(void); int main(void) { return value(); }",
    );
    let value = "int value(void) { return 0; }";
    scratch.compile_with("value.o", value, &["-fPIC"]);
    scratch.shared_library("libnamed.so", &["value.o", "-Wl,-soname,libreal.so.1"]);
    scratch
}

#[test]
fn a_library_that_the_loader_does_not_find() {
    check(
        &with_library(),
        &["run", "main.o", "-L.", "-lnamed"],
        expect![[r#"
            exit code 1
            orc-jit: error: libreal.so.1: cannot open shared object file: No such file or directory: the program was linked with libnamed.so; have the loader find the library, as for any program, with -Wl,-rpath,DIRECTORY or LD_LIBRARY_PATH
        "#]],
    );
}

#[test]
fn a_name_that_no_library_may_define() {
    let scratch = with_library();
    scratch.compile(
        "hidden.o",
        "__attribute__((visibility(\"hidden\"))) int value(void); int main(void) { return value(); }",
    );
    check(
        &scratch,
        &["run", "hidden.o", "-L.", "-lnamed"],
        expect![[r#"
            exit code 1
            orc-jit: error: undefined symbol: value
              referenced by hidden.o (in main)
              note: it is referred to as hidden, so no library's definition is meant
            searched: main (with libreal.so.1, libc.so.6, libm.so.6, libgcc_s.so.1, libstdc++.so.6, ld-linux-x86-64.so.2)
        "#]],
    );
}
