//! What is done when this process ends by `exit`, after all that linked code has registered later.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

type Work = Box<dyn FnOnce() + Send>;

/// What is to be done, with the process that does it.
static WORK: Mutex<Vec<(u32, Work)>> = Mutex::new(Vec::new());

/// Has `work` done when the process calls `exit` or returns from `main`, unless [`do_now`] comes first. Not when
/// it calls `_exit`, starts another program, or is ended by a signal; and not in processes that are forked
/// from it. Work that panics is given up.
pub fn at_exit(work: impl FnOnce() + Send + 'static) {
    let mut all = WORK.lock().unwrap_or_else(PoisonError::into_inner);
    if all.is_empty() {
        // SAFETY: the function takes no arguments, and this library is not unloaded before the process ends.
        // If the C library has no room for it, nothing is done at the end.
        let _ = unsafe { libc::atexit(do_at_exit) };
    }
    all.push((std::process::id(), Box::new(work)));
}

/// Does now what [`at_exit`] was told, the last first.
pub fn do_now() {
    loop {
        // Work may register more.
        let work = WORK.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let Some((process, work)) = work else { return };
        if process == std::process::id() {
            // Nobody is left to hear of a panic but the hook, which was told.
            let _ = catch_unwind(AssertUnwindSafe(work));
        } else {
            // It is the parent's: what it owns here is no more than a copy.
            std::mem::forget(work);
        }
    }
}

extern "C" fn do_at_exit() {
    do_now();
}
