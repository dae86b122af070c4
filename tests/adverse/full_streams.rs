//! Output that cannot be written: no panic, no abort, and an exit status that says so.

use tests::command::Ending;
use tests::scratch::Scratch;

use super::{text, with_orc_jit};

fn prepared() -> Scratch {
    let scratch = Scratch::new();
    scratch.compile("main.o", "int main(void) { return 7; }");
    scratch
}

/// Runs the command with a redirection: it must end with `code`, and say `line` and nothing else where it
/// still can.
#[track_caller]
fn fails(scratch: &Scratch, arguments: &[&str], redirection: &str, code: i32, line: &str) {
    let behaviour = with_orc_jit(scratch, &format!("exec \"$@\" {redirection}"), arguments);
    let said = text(&behaviour.stderr);
    assert_eq!(
        behaviour.ending,
        Ending::Exit(code),
        "{arguments:?}: {said}"
    );
    assert_eq!(said, line, "{arguments:?}");
    assert_eq!(text(&behaviour.stdout), "", "{arguments:?}");
}

const ASKED: [&[&str]; 6] = [
    &["--help"],
    &["--version"],
    &["run", "--help"],
    &["explain", "--help"],
    &["explain", "main", "main.o"],
    &["explain", "nothing", "main.o"],
];

pub fn full_output() {
    let scratch = prepared();
    let full =
        "orc-jit: error: cannot write to standard output: No space left on device (os error 28)\n";
    for arguments in ASKED {
        fails(&scratch, arguments, ">/dev/full", 1, full);
        fails(&scratch, arguments, ">/dev/full 2>&1", 1, "");
    }
    let executors = full.replace("orc-jit: error", "orc-executor");
    fails(
        &scratch,
        &["executor", "--help"],
        ">/dev/full",
        1,
        &executors,
    );
    fails(
        &scratch,
        &["executor", "--version"],
        ">/dev/full",
        1,
        &executors,
    );
    fails(
        &scratch,
        &["executor", "--listen", "unix:socket"],
        ">/dev/full 2>&1",
        1,
        "",
    );
}

pub fn closed_output() {
    let scratch = prepared();
    let closed = "orc-jit: error: cannot write to standard output: it is closed\n";
    for arguments in ASKED {
        fails(&scratch, arguments, ">&-", 1, closed);
        fails(&scratch, arguments, ">&- 2>&-", 1, "");
    }
    let executors = closed.replace("orc-jit: error", "orc-executor");
    fails(&scratch, &["executor", "--help"], ">&-", 1, &executors);
}

pub fn a_pipe_that_nobody_reads() {
    // Whoever ignores the signal gets an error; the others are ended by it, as any command is.
    let scratch = prepared();
    let script = "trap '' PIPE; { sleep 0.2; \"$@\"; echo $? >code; } | true; cat code";
    let behaviour = with_orc_jit(&scratch, script, &["explain", "main", "main.o"]);
    assert_eq!(text(&behaviour.stdout), "1\n");
    let said = text(&behaviour.stderr);
    assert!(said.starts_with("orc-jit: error: cannot write to standard output: Broken pipe"));
    assert_eq!(said.lines().count(), 1, "{said}");
}

pub fn full_error_stream() {
    let scratch = prepared();
    for (arguments, code) in [
        (&["run", "--timings", "main.o"][..], 1),
        (&["run", "--timings", "--executor=spawn", "main.o"], 1),
        (&["run", "--show-graph", "main.o"], 1),
        (&["run", "missing.o"], 1),
        (&["run", "--no-such-option", "main.o"], 2),
        (&["rnu", "main.o"], 2),
        (&["run"], 2),
        (&["executor", "--no-such-option"], 2),
        // What is only by the way is no reason to fail.
        (&["run", "-Wl,--warn-unresolved-symbols", "main.o"], 7),
    ] {
        fails(&scratch, arguments, "2>/dev/full", code, "");
        fails(&scratch, arguments, "2>&-", code, "");
    }
}
