//! Command lines that make no sense.

use super::*;

#[test]
fn no_input() {
    check(
        &Scratch::new(),
        &["run"],
        expect![[r#"
        exit code 2
        orc-jit: error: no input files
        Try `orc-jit --help`.
    "#]],
    );
}

#[test]
fn unknown_option() {
    check(
        &with_main(),
        &["run", "--no-such-option", "main.o"],
        expect![[r#"
            exit code 2
            orc-jit: error: unknown option --no-such-option
            Try `orc-jit --help`.
        "#]],
    );
}

#[test]
fn option_without_its_value() {
    check(
        &with_main(),
        &["run", "main.o", "--threads"],
        expect![[r#"
            exit code 2
            orc-jit: error: a value is required for '--threads <N>' but none was supplied
            Try `orc-jit --help`.
        "#]],
    );
}

#[test]
fn value_that_is_no_number() {
    check(
        &with_main(),
        &["run", "--threads=many", "main.o"],
        expect![[r#"
            exit code 2
            orc-jit: error: invalid value 'many' for '--threads <N>': invalid digit found in string
            Try `orc-jit --help`.
        "#]],
    );
}

#[test]
fn a_file_without_a_subcommand() {
    check(
        &with_main(),
        &["main.o"],
        expect![[r#"
        exit code 2
        orc-jit: error: `main.o` is no subcommand, but a file: `orc-jit run main.o` runs it
        Try `orc-jit --help`.
    "#]],
    );
}

#[test]
fn misspelled_words() {
    let scratch = with_main();
    check(
        &scratch,
        &["rnu", "main.o"],
        expect![[r#"
        exit code 2
        orc-jit: error: `rnu` is no subcommand; did you mean `run`?
        Try `orc-jit --help`.
    "#]],
    );
    check(
        &scratch,
        &["run", "--executor=spwan", "main.o"],
        expect![[r#"
            exit code 2
            orc-jit: error: invalid value 'spwan' for '--executor <WHERE>': `spwan` is no executor (did you mean spawn?); there are spawn, spawn:PATH, llvm, llvm:PATH, qemu:CPU, unix:PATH, tcp:HOST:PORT, stdio:COMMAND or ssh:HOST
            Try `orc-jit --help`.
        "#]],
    );
    check(
        &scratch,
        &["run", "--executr=spawn", "main.o"],
        expect![[r#"
            exit code 2
            orc-jit: error: unknown option --executr=spawn; did you mean --executor?
            Try `orc-jit --help`.
        "#]],
    );
}

#[test]
fn arguments_of_the_program_without_the_dashes() {
    check(
        &with_main(),
        &["run", "main.o", "one", "two"],
        expect![[r#"
            exit code 1
            orc-jit: error: one: no such file
            two: no such file
            if `one` is an argument of the program, write it behind `--`: … -- one …
        "#]],
    );
}

#[test]
fn what_is_no_program() {
    for option in ["-c", "-S", "-E"] {
        let output = with_main()
            .message(&["run", "main.o", option])
            .unwrap_or_default();
        assert!(
            output.contains(&format!("orc-jit: error: {option} asks for ")),
            "{output}"
        );
    }
}
