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
            error: unexpected argument '--no-such-option' found

            Usage: orc-jit run [OPTIONS] INPUT... [-- ARGS...]

            For more information, try '--help'.
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
        error: a value is required for '--threads <N>' but none was supplied

        For more information, try '--help'.
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
            error: invalid value 'many' for '--threads <N>': invalid digit found in string

            For more information, try '--help'.
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
