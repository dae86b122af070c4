//! What starts this test program again: itself, or the emulator that is in the environment.

use std::process::Command;

/// A command for this program, without arguments.
pub fn this_program() -> Command {
    let path = std::env::current_exe().unwrap();
    let runner = std::env::var("ORC_TEST_RUNNER").unwrap_or_default();
    let mut words = runner.split_whitespace();
    let Some(emulator) = words.next() else {
        return Command::new(path);
    };
    let mut command = Command::new(emulator);
    command.args(words).arg(path);
    command
}
