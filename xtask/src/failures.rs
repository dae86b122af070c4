//! Which tests failed, said once more at the end: a log of many thousand lines is often cut before anybody
//! sees it.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use crate::command::{cargo, root, say, target_directory};

/// So many lines of what failed tests have said are repeated.
const LIMIT: usize = 400;

/// Runs all tests of the workspace with `variable` set, and repeats what the failed ones said.
///
/// # Errors
/// A test has failed, or cargo cannot be started.
pub fn test_workspace((name, value): (&str, &str)) -> Result<(), String> {
    let line = "cargo test --workspace --no-fail-fast";
    say(&format!("$ {name}={value} {line}\n"))?;
    let mut cargo = Command::new(cargo())
        .args(line.split(' ').skip(1))
        .current_dir(root())
        .env("CARGO_TARGET_DIR", target_directory())
        .env(name, value)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{line}: {error}"))?;
    let output = cargo.stdout.take().expect("it is a pipe");
    let mut failures = Failures::default();
    for text in BufReader::new(output).split(b'\n') {
        let text = text.map_err(|error| format!("{line}: {error}"))?;
        let text = String::from_utf8_lossy(&text);
        say(&format!("{text}\n"))?;
        failures.read(&text);
    }
    let status = cargo.wait().map_err(|error| format!("{line}: {error}"))?;
    if status.success() {
        return Ok(());
    }
    let repeated = failures.lines.join("\n");
    Err(format!("{repeated}\n`{line}` failed: {status}"))
}

/// The parts of a test log between `failures:` and `test result: FAILED`.
#[derive(Default)]
struct Failures {
    inside: bool,
    lines: Vec<String>,
}

impl Failures {
    fn read(&mut self, line: &str) {
        self.inside |= line == "failures:";
        if self.inside && self.lines.len() < LIMIT && !line.is_empty() {
            self.lines.push(line.to_owned());
        }
        self.inside &= !line.starts_with("test result: ");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_repeated_and_nothing_else() {
        let log = "running 2 tests\ntest a ... ok\ntest b ... FAILED\n\nfailures:\n\n---- b ----\n\
                   left: 1\n\nfailures:\n    b\n\ntest result: FAILED. 1 passed\n\ntest c ... ok\n";
        let mut failures = Failures::default();
        log.lines().for_each(|line| failures.read(line));
        let expected = [
            "failures:",
            "---- b ----",
            "left: 1",
            "failures:",
            "    b",
            "test result: FAILED. 1 passed",
        ];
        assert_eq!(failures.lines, expected);
    }
}
