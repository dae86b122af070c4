//! Standard streams that were closed when the process started.
//!
//! The system gives the lowest free number to whatever is opened next. With descriptor 1 closed (as
//! daemons and `>&-` do) that number would be a socket's or a library's, and what the program prints
//! would go there. So the closed ones are taken first, by something that fails as a closed one does:
//! a handle of a directory that can be neither read nor written. It goes when another program is
//! started in this process's place, which then finds them closed again; and right before code of the
//! program runs, for a linked program finds them closed, too.

use std::process::{Command, Stdio};

use libc::c_int;

const INPUT: c_int = 0;
const OUTPUT: c_int = 1;
const ERROR: c_int = 2;

/// Takes the numbers of the standard streams that are closed. To be called before anything is opened,
/// by a process that has one thread.
pub fn occupy() {
    for number in [INPUT, OUTPUT, ERROR] {
        if flags(number).is_some() {
            continue;
        }
        let how = libc::O_PATH | libc::O_CLOEXEC;
        // SAFETY: the path is a C string.
        let opened = unsafe { libc::open(c"/".as_ptr(), how) };
        debug_assert!(opened == number || opened < 0, "the lowest number is given");
    }
}

/// Closes what stands in for standard streams: code of the program runs next.
pub fn vacate() {
    for number in [INPUT, OUTPUT, ERROR] {
        if is_stand_in(number) {
            // SAFETY: it is what `occupy` has opened, here or in the process that has passed it on:
            // nobody else has use for a handle that nothing can be done with.
            unsafe { libc::close(number) };
        }
    }
}

/// Whether standard output was closed, so that nothing can be written there.
#[must_use]
pub fn output_is_closed() -> bool {
    is_stand_in(OUTPUT) || flags(OUTPUT).is_none()
}

/// The same of standard error.
#[must_use]
pub fn error_is_closed() -> bool {
    is_stand_in(ERROR) || flags(ERROR).is_none()
}

/// Lets a command that is about to be started have an empty stream in place of each that is closed: it
/// need not be as careful.
pub fn empty_for(command: &mut Command) {
    if is_stand_in(INPUT) {
        command.stdin(Stdio::null());
    }
    if is_stand_in(OUTPUT) {
        command.stdout(Stdio::null());
    }
    if is_stand_in(ERROR) {
        command.stderr(Stdio::null());
    }
}

fn is_stand_in(number: c_int) -> bool {
    flags(number).is_some_and(|flags| flags & libc::O_PATH != 0)
}

/// How a descriptor was opened; `None` if it is closed.
fn flags(number: c_int) -> Option<c_int> {
    // SAFETY: `F_GETFL` takes any number, open or not, and changes nothing.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFL) };
    (flags >= 0).then_some(flags)
}
