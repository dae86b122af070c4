//! Where undefined symbols are used, and what their names say of the cause.

use super::*;

#[test]
fn functions_and_lines() {
    let scratch = Scratch::new();
    let text = "int nowhere(int);\nint twice(int n) {\n    return 2 * nowhere(n);\n}\nint main(void) {\n    return twice(0);\n}\n";
    scratch.compile_with("main.o", text, &["-O0", "-g"]);
    scratch.compile_with(
        "table.o",
        "int nowhere(int); int (*const table[])(int) = {nowhere};",
        &["-O0"],
    );
    scratch.compile_with(
        "plain.o",
        "int nowhere(int); int plain(void) { return nowhere(1) + 1; }",
        &["-O0"],
    );
    check(
        &scratch,
        &["run", "main.o", "table.o", "plain.o"],
        expect![[r#"
            exit code 1
            orc-jit: error: undefined symbol: nowhere
              referenced by main.o (in twice at main.c:3), table.o (in table), plain.o (in plain)
            searched: main (with libc.so.6, libm.so.6, libgcc_s.so.1, libstdc++.so.6, ld-linux-x86-64.so.2)
        "#]],
    );
}

#[test]
fn what_compilers_refer_to() {
    let scratch = Scratch::new();
    scratch.compile_with(
        "main.o",
        "void __asan_report_load4(long), GOMP_parallel(void); extern char vtable[] __asm__(\"_ZTV5Shape\");
         int main(void) { __asan_report_load4(0); GOMP_parallel(); return vtable[0]; }",
        &["-O0"],
    );
    check(
        &scratch,
        &["run", "main.o"],
        expect![[r#"
        exit code 1
        orc-jit: error: undefined symbol: __asan_report_load4
          referenced by main.o (in main)
          note: objects that were compiled for it are linked with -fsanitize=address, too
        undefined symbol: GOMP_parallel
          referenced by main.o (in main)
          note: objects that were compiled for it are linked with -fopenmp, too
        undefined symbol: {vtable(Shape)} (_ZTV5Shape)
          referenced by main.o (in main)
          note: the virtual table is in the object that defines the class's key function, the first virtual function that is neither inline nor pure: is that function defined, and its object among the inputs?
        searched: main (with libc.so.6, libm.so.6, libgcc_s.so.1, libstdc++.so.6, ld-linux-x86-64.so.2)
    "#]],
    );
}

#[test]
fn definitions_of_the_command_line() {
    check(
        &with_main(),
        &["run", "main.o", "-Wl,--defsym,a=nowhere+1"],
        expect![[r#"
            exit code 1
            orc-jit: error: undefined symbol: nowhere
              referenced by --defsym a=nowhere+1
            searched: main (with libc.so.6, libm.so.6, libgcc_s.so.1, libstdc++.so.6, ld-linux-x86-64.so.2)
        "#]],
    );
}
