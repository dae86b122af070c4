//! A program whose `main` has left the process to its other threads.
//!
//! After `pthread_exit` in the main thread a process goes on until its last thread ends, and then
//! exits with 0. The C library counts threads for that, and counts ours, which never end. So
//! once the main thread has ended, one of ours looks how many are left.

use std::ffi::c_void;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::sys;

/// How long to wait before looking again, at first and at most.
const WAITS: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));

/// The process that serves; its forked children have none of our threads.
static PROCESS: AtomicU32 = AtomicU32::new(0);

/// Lets the process end with the program's last thread if this thread, the process's first, ends before
/// that. Where the system does not help, the process stays until the controller is gone.
pub(super) fn may_end_first() {
    if sys::thread::is_first() {
        PROCESS.store(std::process::id(), Ordering::Relaxed);
        let _ignored = sys::thread::when_this_thread_ends(ended);
    }
}

extern "C" fn ended(_: *mut c_void) {
    // Without threads of ours, in a forked child, the C library counts right.
    if PROCESS.load(Ordering::Relaxed) == std::process::id() {
        let _ignored = sys::thread::spawn_without_signals("orc-last", end_with_the_last);
    }
}

fn end_with_the_last() {
    let (mut wait, most) = WAITS;
    // Without an answer, threads may live.
    while sys::thread::has_others().unwrap_or(true) {
        std::thread::sleep(wait);
        wait = (wait * 2).min(most);
    }
    // As the C library does on the last thread.
    std::process::exit(0);
}
