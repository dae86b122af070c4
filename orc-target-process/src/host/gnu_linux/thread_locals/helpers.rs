//! Threads that are not the C library's: the helpers of an emulator that runs this process.
//!
//! The system lists them among the threads of the process. No code of the process runs on them, so they
//! have no thread-locals, and nobody could set any: they block all signals. They are told apart by
//! when they are there: while the C library knows of one thread only, all others are such.

use std::os::linux::fs::MetadataExt as _;

use parking_lot::Mutex;

use super::threads::{is_only_one, other_threads};

/// The process that was looked at last (a forked child has helpers of its own), and its helpers.
static KNOWN: Mutex<(u32, Vec<i32>)> = Mutex::new((0, Vec::new()));

/// Where the system lists the threads of this process.
const TASKS: &str = "/proc/self/task";

/// The system counts two directories besides those of the threads.
const LINKS_OF_ONE_THREAD: u64 = 3;

/// When the process starts, there is one thread, if there ever is.
#[used]
#[unsafe(link_section = ".init_array")]
static AT_START: extern "C" fn() = look_at_start;

extern "C" fn look_at_start() {
    look();
    if !KNOWN.lock().1.is_empty() {
        // SAFETY: the handler may be called in any child.
        unsafe { libc::pthread_atfork(None, None, Some(look_in_child)) };
    }
}

/// A forked child has one thread of the program, whatever its parent had.
///
/// # Safety
/// None is needed; the type is that of `pthread_atfork`.
unsafe extern "C" fn look_in_child() {
    // A thread that was looking when another one forked is not there any more.
    if let Some(mut known) = KNOWN.try_lock() {
        *known = (std::process::id(), other_threads().unwrap_or_default());
    }
}

/// Notes who the helpers are, if that can be told now. It costs one call where there are none.
pub(super) fn look() {
    let count = std::fs::metadata(TASKS).map_or(0, |tasks| tasks.st_nlink());
    if count > LINKS_OF_ONE_THREAD && is_only_one() {
        let threads = other_threads().unwrap_or_default();
        *KNOWN.lock() = (std::process::id(), threads);
    }
}

/// Whether a thread is a helper.
pub(super) fn is_helper(thread: i32) -> bool {
    let known = KNOWN.lock();
    known.0 == std::process::id() && known.1.contains(&thread)
}
