//! Linked code under real debuggers: scripts that set breakpoints before the program runs, and what the
//! debuggers say.

#[path = "debuggers/in_gdb.rs"]
mod in_gdb;
#[path = "debuggers/in_lldb.rs"]
mod in_lldb;
#[path = "debuggers/many.rs"]
mod many;
#[path = "debuggers/programs.rs"]
mod programs;
#[path = "debuggers/session.rs"]
mod session;
#[path = "debuggers/spawned.rs"]
mod spawned;
#[path = "debuggers/stubs.rs"]
mod stubs;

use std::process::ExitCode;

use libtest_mimic::Arguments;
use tests::needs::Tests;

fn main() -> ExitCode {
    if let Some(end) = many::be_debugged().or_else(stubs::be_debugged) {
        return end;
    }
    let arguments = Arguments::from_args();
    let mut tests = Tests::default();
    in_gdb::add(&mut tests);
    in_lldb::add(&mut tests);
    spawned::add(&mut tests);
    many::add(&mut tests);
    stubs::add(&mut tests);
    tests.run(&arguments)
}
