//! Names that inputs bring: what a terminal must not see, and lists that would have no end.

use super::*;

/// The object with a name replaced by one of the same length.
fn renamed(scratch: &Scratch, object: &str, from: &str, to: &str) {
    assert_eq!(from.len(), to.len());
    let mut bytes = scratch.read(object);
    let places: Vec<usize> = bytes
        .windows(from.len())
        .enumerate()
        .filter_map(|(at, text)| (text == from.as_bytes()).then_some(at))
        .collect();
    assert!(!places.is_empty(), "{object} has no {from}");
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    scratch.write(object, bytes);
}

#[test]
fn symbols_names_do_not_command_terminals() {
    let scratch = Scratch::new();
    scratch.compile(
        "main.o",
        "int missing_name(void); int main(void) { return missing_name(); }",
    );
    renamed(&scratch, "main.o", "missing_name", "mi\x1b[2Jn\nna\u{9b}");
    check(
        &scratch,
        &["run", "main.o"],
        expect![[r#"
            exit code 1
            orc-jit: error: undefined symbol: mi\x1b[2Jn\nna\u{9b}
              referenced by main.o (in main)
            searched: main (with libc.so.6, libm.so.6, libgcc_s.so.1, libstdc++.so.6, ld-linux-x86-64.so.2)
        "#]],
    );
}

#[test]
fn sections_names_do_not_command_terminals() {
    let scratch = Scratch::new();
    scratch.compile(
        "main.o",
        "__attribute__((section(\"a_name_to_replace\"))) int x = 1; int main(void) { return x; }",
    );
    renamed(
        &scratch,
        "main.o",
        "a_name_to_replace",
        "\x1b]0;title\x07\nline\n.",
    );
    // The section's type, 4 bytes behind where its name is in its header.
    let mut bytes = scratch.read("main.o");
    let headers = usize::from(u16::from_le_bytes([bytes[40], bytes[41]]));
    let count = usize::from(bytes[60]);
    let size = |at: usize| bytes[at + 32];
    let data = (0..count).map(|index| headers + 64 * index);
    let data = data.filter(|&at| bytes[at + 4] == 1 && bytes[at + 8] == 3);
    let data: Vec<usize> = data.filter(|&at| size(at) == 4).collect();
    bytes[data[0] + 4] = 0x99;
    scratch.write("main.o", bytes);
    check(
        &scratch,
        &["run", "main.o"],
        expect![[r#"
            exit code 1
            orc-jit: error: main.o: the section \x1b]0;title\x07\nline\n. (5) has the unknown type 0x99
        "#]],
    );
}

#[test]
fn files_names_do_not_command_terminals() {
    let scratch = with_main();
    scratch.write("we\x1b[31mird\n.o", "text\n");
    check(
        &scratch,
        &[
            "run",
            "main.o",
            "we\x1b[31mird\n.o",
            "-l\x1b[32m",
            "no\x1b\nne.o",
        ],
        expect![[r#"
            exit code 1
            orc-jit: error: we\x1b[31mird\n.o: is a text file, and neither an object nor a linker script
            cannot find -l\x1b[32m; searched:
            no\x1b\nne.o: no such file
        "#]],
    );
}

#[test]
fn what_arguments_say_does_not_command_terminals() {
    let scratch = with_main();
    let message = scratch.message(&["run", "main.o", "--execu\x1b[31mtor=x"]);
    let message = message.unwrap_or_default();
    assert!(!message.contains('\x1b'), "{message}");
}

#[test]
fn a_library_that_is_named_often_is_missing_once() {
    let scratch = with_main();
    scratch.write("often", "-lnothing_of_this_name ".repeat(200_000));
    check(
        &scratch,
        &["run", "main.o", "@often"],
        expect![[r#"
            exit code 1
            orc-jit: error: cannot find -lnothing_of_this_name; searched:
        "#]],
    );
}

#[test]
fn a_library_that_a_script_names_often_is_listed_once() {
    let scratch = Scratch::new();
    scratch.compile(
        "main.o",
        "int missing(void); int main(void) { return missing(); }",
    );
    scratch.write("often.ld", format!("INPUT({})", "-lm ".repeat(200_000)));
    check(
        &scratch,
        &["run", "main.o", "often.ld"],
        expect![[r#"
            exit code 1
            orc-jit: error: undefined symbol: missing
              referenced by main.o (in main)
            searched: main (with libm.so.6, libmvec.so.1, libc.so.6, libgcc_s.so.1, libstdc++.so.6, ld-linux-x86-64.so.2)
        "#]],
    );
}

#[test]
fn lists_without_end_are_counted() {
    let scratch = Scratch::new();
    let all: String = (0..2000).map(|n| format!("missing_{n:04}();\n")).collect();
    scratch.compile_with(
        "main.o",
        &format!("int main(void) {{ {all} return 0; }}"),
        &["-std=gnu89", "-w"],
    );
    let message = scratch.message(&["run", "main.o"]).unwrap_or_default();
    let told = message.matches("undefined symbol: ").count();
    assert_eq!(told, 500);
    assert!(
        message.contains("\n… and 1500 more undefined symbols\nsearched: "),
        "{message}"
    );
}
