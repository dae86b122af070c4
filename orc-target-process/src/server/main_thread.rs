//! A program whose main thread has ended, and left the process to its other threads.
//!
//! After `pthread_exit` in the main thread a process goes on until its last thread ends, and then
//! exits with 0. The C library counts threads for that, and counts ours, which never end. A main thread
//! that leaves by the system call alone (`SYS_exit`) is not even noticed by the C library: the process
//! ends with the last thread, and with that thread's code. So one of ours waits for the main
//! thread's end, which the kernel tells as it tells those who join a thread, and then looks how many are
//! left.

use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use crate::host;

/// How long to wait before looking again, at first and at most.
const WAITS: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));

/// The process that serves; its forked children have none of our threads.
static PROCESS: AtomicU32 = AtomicU32::new(0);

/// Whether the main thread has ended as the C library has threads end.
static ENDED_WELL: AtomicBool = AtomicBool::new(false);

/// Whether a thread of ours waits for its end.
static IS_AWAITED: AtomicBool = AtomicBool::new(false);

/// Lets the process end with the program's last thread if this thread, the process's first, ends before
/// that. Where the system does not help, the process stays until the controller is gone.
pub(super) fn may_end_first() {
    if !host::thread::is_first() {
        return;
    }
    PROCESS.store(std::process::id(), Ordering::Relaxed);
    let _ignored = host::thread::when_this_thread_ends(ended);
    if let Some(end) = host::thread::EndOfThread::of_this_one() {
        let wait = move || {
            end.wait();
            end_with_the_last(Some(&end));
        };
        let waiting = host::thread::spawn_without_signals("orc-last", wait);
        IS_AWAITED.store(waiting.is_some(), Ordering::Relaxed);
    }
}

extern "C" fn ended(_: *mut c_void) {
    // Without threads of ours, in a forked child, the C library counts right.
    if PROCESS.load(Ordering::Relaxed) != std::process::id() {
        return;
    }
    ENDED_WELL.store(true, Ordering::Release);
    if !IS_AWAITED.load(Ordering::Relaxed) {
        let _ignored = host::thread::spawn_without_signals("orc-last", || end_with_the_last(None));
    }
}

/// Waits for the program's other threads, and ends the process as the last one would.
fn end_with_the_last(first: Option<&host::thread::EndOfThread>) {
    let (mut wait, most) = WAITS;
    let mut code = host::thread::exit_code_of_first();
    // Without an answer, threads may live.
    while host::thread::has_others().unwrap_or(true) {
        // With that, the C library ends a thread.
        code = 0;
        std::thread::sleep(wait);
        wait = (wait * 2).min(most);
    }
    // One that has joined the first thread may have ended before anybody looked here.
    if first.is_some_and(host::thread::EndOfThread::was_joined) {
        code = 0;
    }
    crate::host::process::end_own_work();
    if ENDED_WELL.load(Ordering::Acquire) {
        // As the C library does on the last thread.
        std::process::exit(0);
    }
    host::process::exit_now(code);
}
