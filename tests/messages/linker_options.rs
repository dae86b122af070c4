//! Options of linkers that ask for what is not there.

use super::*;

#[test]
fn a_wrapper_that_nothing_defines() {
    let scratch = Scratch::new();
    scratch.compile(
        "main.o",
        "void *__real_malloc(unsigned long), *malloc(unsigned long); void *__real_other(void);
         void *__wrap_malloc(unsigned long);
         int main(void) { return malloc(1) == __wrap_malloc(2) || __real_malloc(3) || __real_other(); }",
    );
    scratch.compile(
        "direct.o",
        "void *__wrap_malloc(unsigned long); void *f(void) { return __wrap_malloc(1); }",
    );
    check(
        &scratch,
        &[
            "run",
            "main.o",
            "direct.o",
            "--no-gc-sections",
            "--wrap=malloc",
            "--wrap=other",
        ],
        expect![[r#"
            exit code 1
            orc-jit: error: undefined symbol: __wrap_malloc
              referenced by main.o (as malloc, in main), direct.o (in f)
            undefined symbol: other
              referenced by main.o (as __real_other, in main)
            searched: main (with libc.so.6, libm.so.6, libgcc_s.so.1, libstdc++.so.6, ld-linux-x86-64.so.2)
        "#]],
    );
}

#[test]
fn a_name_that_must_be_defined() {
    check(
        &with_main(),
        &[
            "run",
            "main.o",
            "-Wl,--require-defined=plugin_table",
            "-u",
            "may_be_missing",
        ],
        expect![[r#"
            exit code 1
            orc-jit: error: undefined symbol: plugin_table
            searched: main (with libc.so.6, libm.so.6, libgcc_s.so.1, libstdc++.so.6, ld-linux-x86-64.so.2)
        "#]],
    );
}

#[test]
fn lists_of_symbols_that_cannot_be_read() {
    let scratch = with_main();
    scratch.write("bad.list", "{ a; extern \"Java\" { b; }; };");
    check(
        &scratch,
        &["run", "main.o", "-Wl,--dynamic-list=bad.list"],
        expect![[r#"
            exit code 1
            orc-jit: error: bad.list: the language `Java` is not known: C and C++ are
        "#]],
    );
    check(
        &scratch,
        &["run", "main.o", "--export-dynamic-symbol-list", "none.list"],
        expect![[r#"
            exit code 1
            orc-jit: error: none.list: No such file or directory (os error 2)
        "#]],
    );
}

#[test]
fn a_linker_option_without_its_value() {
    check(
        &with_main(),
        &["run", "main.o", "-Wl,-rpath", "-Wl,-rpath=.", "-Wl,-u"],
        expect![[r#"
            exit code 2
            orc-jit: error: linker option -u needs a value
            Try `orc-jit --help`.
        "#]],
    );
}

#[test]
fn options_that_no_linker_has() {
    check(
        &with_main(),
        &["run", "main.o", "-Wl,--gc-sectons"],
        expect![[r#"
            exit code 2
            orc-jit: error: unknown option --gc-sectons; did you mean --gc-sections?
            Try `orc-jit --help`.
        "#]],
    );
    check(
        &with_main(),
        &["run", "main.o", "-Wl,--frobnicate"],
        expect![[r#"
            exit code 2
            orc-jit: error: unknown option --frobnicate
            Try `orc-jit --help`.
        "#]],
    );
}

#[test]
fn options_that_are_refused() {
    for option in [
        "-Ttext=0x1000",
        "--image-base=0x400000",
        "--section-start=.x=1",
        "--just-symbols=main.o",
        "--oformat=binary",
        "--format=binary",
        "-N",
        "--audit=x.so",
        "-z,nodefaultlib",
        "--dynamic-linker=/lib/ld-musl-x86_64.so.1",
        "--mri-script=x",
    ] {
        let output = with_main()
            .message(&["run", "main.o", &format!("-Wl,{option}")])
            .unwrap_or_default();
        assert!(output.contains("orc-jit: error: -"), "{option}: {output}");
    }
}
