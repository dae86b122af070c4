//! The command where things are not as they usually are: streams that are closed or full, signals while
//! it works, folders that are missing.

#[path = "adverse/closed_streams.rs"]
mod closed_streams;
#[path = "adverse/full_streams.rs"]
mod full_streams;
#[path = "adverse/signals.rs"]
mod signals;
#[path = "adverse/surroundings.rs"]
mod surroundings;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use libtest_mimic::Arguments;
use tests::add_tests;
use tests::command::{Behaviour, Invocation};
use tests::compare::orc_jit;
use tests::needs::Tests;
use tests::scratch::Scratch;

fn main() -> ExitCode {
    let mut tests = Tests::default();
    add_tests!(
        tests,
        [],
        closed_streams::a_program_finds_closed_streams_closed,
        closed_streams::forwarded_streams_that_are_closed_here_lead_nowhere,
        closed_streams::a_listener_without_streams,
        full_streams::full_output,
        full_streams::closed_output,
        full_streams::a_pipe_that_nobody_reads,
        full_streams::full_error_stream,
        signals::nothing_is_left_when_a_signal_ends_the_command,
        signals::what_is_ignored_stays_ignored,
        signals::what_a_killed_command_has_left_is_found_again,
        signals::a_compiled_program_finds_signals_as_they_are,
        surroundings::temporary_files_find_another_place,
        surroundings::without_a_compiler,
        surroundings::inputs_that_are_none,
        surroundings::a_source_on_standard_input,
        surroundings::few_descriptors,
        surroundings::names_that_are_no_text,
        surroundings::wherever_the_command_is,
    );
    let llvm = ["llvm-jitlink-executor-22"];
    add_tests!(
        tests,
        llvm,
        closed_streams::llvms_executor_prints_nowhere_else,
    );
    tests.run(&Arguments::from_args())
}

fn command() -> PathBuf {
    orc_jit().expect("these tests need the command")
}

/// What a shell does with `script`, which finds the words that follow in `"$@"`.
fn shell(scratch: &Scratch, script: &str, words: &[&str]) -> Behaviour {
    let arguments = ["sh", "-c", script, "sh"]
        .into_iter()
        .chain(words.iter().copied());
    let invocation = Invocation::new(arguments.map(OsString::from));
    invocation.run_in(scratch.path()).expect("a shell starts")
}

/// The same for `orc-jit` with these arguments, as in `shell(.., "\"$@\" >/dev/full", ..)`.
fn with_orc_jit(scratch: &Scratch, script: &str, arguments: &[&str]) -> Behaviour {
    let command = command().into_os_string();
    let command = command.to_str().expect("a path in UTF-8");
    let words: Vec<&str> = std::iter::once(command)
        .chain(arguments.iter().copied())
        .collect();
    shell(scratch, script, &words)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
