//! What an executor says of its end when a signal ends it.
//!
//! [`report_to`] makes this process tell its controller about `SIGSEGV`, `SIGBUS`, `SIGILL`, `SIGFPE`,
//! `SIGABRT` and `SIGTRAP` before it dies of them: which thread, where, with what in its registers,
//! and by which calls it got there. One message is written; then the signal takes its default
//! course, so that whoever waits for the process sees the signal that really ended it.
//!
//! **The program does not notice.** It may install handlers of its own, which replace ours. To code
//! that asks what is installed ours look like the default ([`disguise`]): Rust's own runtime, for one,
//! installs its handler of stack overflows only over the default. What the program sets to the
//! default is set to ours. A child that the program forks dies without a word: the controller does
//! not know it.
//!
//! **In the handler** everything may be broken, and any lock may be held. It allocates nothing, uses
//! system calls and memory that was set aside, and reads the frame table as exceptions do, which takes
//! no lock (glibc 2.35, libgcc 12). Should following the frames fault, too, what was found until then
//! is sent. Handlers run on an alternate stack where a thread has one ([`AlternateStack`]): without
//! one, a thread whose stack overflows dies unreported.

pub mod disguise;
mod frames;
mod handler;
mod meaning;
mod message;
mod stack;
#[cfg(test)]
mod tests;

use std::ffi::c_int;
use std::io;

pub use handler::report_to;
pub use meaning::cause;
pub use stack::AlternateStack;

/// The signals that are reported.
pub const SIGNALS: [c_int; 6] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGILL,
    libc::SIGFPE,
    libc::SIGABRT,
    libc::SIGTRAP,
];

/// Where a report goes.
pub trait Sink: Sync {
    /// Writes one whole message, or nothing if that cannot be done at once (another message is half
    /// written, or the other side does not read). Whether it was written.
    ///
    /// Called in a signal handler: it may not allocate, nor wait for a lock.
    fn send(&self, message: &[u8]) -> bool;
}

/// The outcome of a call that returns 0 or sets `errno`.
fn check(outcome: c_int) -> io::Result<()> {
    match outcome {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
