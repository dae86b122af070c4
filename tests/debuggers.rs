//! Linked code under real debuggers: scripts that set breakpoints before the program runs, and what the
//! debuggers say.

#[path = "debuggers/in_gdb.rs"]
mod in_gdb;
#[path = "debuggers/programs.rs"]
mod programs;
#[path = "debuggers/session.rs"]
mod session;

use std::process::ExitCode;

use libtest_mimic::Arguments;
use tests::needs::Tests;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut tests = Tests::default();
    in_gdb::add(&mut tests);
    tests.run(&arguments)
}
