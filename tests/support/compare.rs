//! The comparison at the heart of the end-to-end tests, and the command that is under test.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::OnceLock;

use crate::build::{Built, program};
use crate::case::{Case, Executor};
use crate::command::{Behaviour, Ending};
use crate::target::target;
use crate::workspace::build_command;

/// The `orc-jit` command: `$ORC_JIT`, or this workspace's, which is brought up to date first.
/// `ORC_JIT=none` leaves it out, so that only the native programs are checked.
///
/// # Panics
/// If it does not build.
pub fn orc_jit() -> Option<PathBuf> {
    static COMMAND: OnceLock<Option<PathBuf>> = OnceLock::new();
    COMMAND.get_or_init(find_or_build_orc_jit).clone()
}

fn find_or_build_orc_jit() -> Option<PathBuf> {
    match std::env::var_os("ORC_JIT") {
        Some(none) if none == "none" => return None,
        Some(path) => return Some(PathBuf::from(path)),
        None => {}
    }
    // With the features that the whole workspace has, as the tests have been built.
    Some(build_command("orc-jit", &["--workspace"]))
}

/// Runs `built` under the JIT, in `executor`, and checks that it behaves as the native program.
///
/// # Errors
/// The differences, with the command to repeat the run.
pub fn check(case: &Case, built: &Built, executor: &Executor) -> Result<(), String> {
    let place = built.directory.display();
    if built.native.ending != case.ending {
        let native = show(&built.native);
        return Err(format!(
            "the natively linked program in {place} must end with {}:\n{native}",
            case.ending
        ));
    }
    let Some(mut argv) = target().orc_jit_run(executor) else {
        return Ok(());
    };
    // As the native link: the loader finds libraries beside the program.
    argv.push("-Wl,-rpath,$ORIGIN".into());
    argv.extend(case.jit.iter().chain(&built.inputs).map(OsString::from));
    argv.push("--".into());
    let mut invocation = program(case, argv);
    invocation.env.extend(target().compilers());
    let jit = invocation
        .run_in(&built.directory)
        .map_err(|error| error.to_string())?;
    let differences = difference(&built.native, &without_report(jit), case.compare_stderr);
    match (&case.gap, differences.is_empty()) {
        (None, true) | (Some(_), false) => return Ok(()),
        (Some(gap), true) => {
            return Err(format!(
                "behaves like the linked program now: take `gap: {gap}` out of its directives"
            ));
        }
        (None, false) => {}
    }
    Err(format!(
        "(cd {place}; {})\n{differences}",
        invocation.shell_line()
    ))
}

/// What the program itself has done. If a signal ends it in another process, the command says so, and
/// says where, behind what the program wrote.
pub fn without_report(mut behaviour: Behaviour) -> Behaviour {
    const REPORT: &[u8] = b"orc-jit: error: the program was ended by ";
    let stderr = &behaviour.stderr;
    let is_line = |at: usize| at == 0 || stderr[at - 1] == b'\n';
    let report = (0..stderr.len()).find(|&at| is_line(at) && stderr[at..].starts_with(REPORT));
    if let (Ending::Signal(_), Some(at)) = (&behaviour.ending, report) {
        behaviour.stderr.truncate(at);
    }
    behaviour
}

/// Where `jit` differs from `native`; an empty text if it does not.
pub fn difference(native: &Behaviour, jit: &Behaviour, compares_stderr: bool) -> String {
    let mut text = String::new();
    if native.ending != jit.ending {
        writeln!(text, "linked: {}\n   JIT: {}", native.ending, jit.ending)
            .expect("writing to a string");
    }
    let streams = [
        ("standard output", &native.stdout, &jit.stdout),
        ("standard error", &native.stderr, &jit.stderr),
    ];
    let compared = if compares_stderr { 2 } else { 1 };
    for (stream, native, jit) in &streams[..compared] {
        if native != jit {
            write_first_difference(&mut text, stream, native, jit);
        }
    }
    if !text.is_empty() && !compares_stderr {
        let stderr = String::from_utf8_lossy(&jit.stderr);
        writeln!(text, "standard error of the JIT:\n{}", indent(&stderr))
            .expect("writing to a string");
    }
    text
}

/// Shows the first line that differs, and how many came before it.
fn write_first_difference(text: &mut String, stream: &str, native: &[u8], jit: &[u8]) {
    let (native, jit) = (
        String::from_utf8_lossy(native),
        String::from_utf8_lossy(jit),
    );
    let same = native
        .lines()
        .zip(jit.lines())
        .take_while(|(a, b)| a == b)
        .count();
    let line = |all: &str| {
        all.lines()
            .nth(same)
            .map_or("(end)".to_owned(), |line| format!("{line:?}"))
    };
    writeln!(
        text,
        "{stream} differs at line {}:\nlinked: {}\n   JIT: {}",
        same + 1,
        line(&native),
        line(&jit)
    )
    .expect("writing to a string");
}

fn show(behaviour: &Behaviour) -> String {
    let (stdout, stderr) = (
        String::from_utf8_lossy(&behaviour.stdout),
        String::from_utf8_lossy(&behaviour.stderr),
    );
    format!(
        "{}\nstandard output:\n{}standard error:\n{}",
        behaviour.ending,
        indent(&stdout),
        indent(&stderr)
    )
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("    {line}\n")).collect()
}
