//! The threads that share the work of a link: those of the calling thread's rayon pool, or of rayon's
//! global one, if they exist.
//!
//! A process that was forked has the pool of its parent and none of its threads: whoever hands work to that
//! pool waits for ever. Servers that load everything and then fork for every customer are such
//! processes. So before a process hands out its first work, it finds out whether somebody takes it, and
//! makes a pool of its own if not.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use parking_lot::Mutex;
use rayon::{Scope, ThreadPool, ThreadPoolBuilder};

/// How long the threads of a pool may take to do nothing. Those that are so busy are no help either.
const ANSWER_MAX: Duration = Duration::from_millis(200);

/// The process that has asked whether rayon's global pool has its threads; 0 if none has.
static ASKED: AtomicU32 = AtomicU32::new(0);

/// The pool that the process which has asked has made, because the global one has no threads.
static OWN: Mutex<Option<Arc<ThreadPool>>> = Mutex::new(None);

thread_local! {
    /// Whether the pool of this thread has ended: rayon takes it for a member all the same.
    static ALONE: Cell<bool> = const { Cell::new(false) };
}

/// The pool that the calling thread is a member of has ended. From now on the thread does its work alone.
pub fn end_on_this_thread() {
    ALONE.set(true);
}

/// Runs work that is shared with other threads.
pub fn share<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    match own_pool() {
        None => work(),
        Some(pool) => pool.install(work),
    }
}

/// Runs work on the calling thread, with a scope in which others share it.
pub(crate) fn share_from_here<'scope, R>(work: impl FnOnce(&Scope<'scope>) -> R) -> R {
    match own_pool() {
        None => rayon::in_place_scope(work),
        Some(pool) => pool.in_place_scope(work),
    }
}

/// Has work done by another thread, some time; now, if there is none.
pub(crate) fn hand_over(work: impl FnOnce() + Send + 'static) {
    if is_alone() {
        return work();
    }
    match own_pool() {
        None => rayon::spawn(work),
        Some(pool) => pool.spawn(work),
    }
}

/// How many threads share work.
pub(crate) fn count() -> usize {
    if is_alone() {
        return 1;
    }
    match own_pool() {
        None => rayon::current_num_threads(),
        Some(pool) => pool.current_num_threads(),
    }
}

/// Code runs at the end of a thread, too, when its thread-locals are gone.
fn is_alone() -> bool {
    ALONE.try_with(Cell::get).unwrap_or(false)
}

/// The pool to use in place of rayon's global one, if this process does not have that one's threads.
fn own_pool() -> Option<Arc<ThreadPool>> {
    // A thread of a pool does the work that it hands out itself, if nobody else does.
    if rayon::current_thread_index().is_some() {
        return None;
    }
    let process = std::process::id();
    if ASKED.load(Ordering::Acquire) == process {
        return OWN.lock().clone();
    }
    let own = match has_threads() {
        true => None,
        false => Some(make_pool()?),
    };
    let of_parent = std::mem::replace(&mut *OWN.lock(), own.clone());
    ASKED.store(process, Ordering::Release);
    // Its threads are not there to be ended.
    std::mem::forget(of_parent);
    own
}

/// Whether the threads of the global pool do anything.
fn has_threads() -> bool {
    let (done, answer) = sync_channel(1);
    rayon::spawn(move || _ = done.send(()));
    answer.recv_timeout(ANSWER_MAX).is_ok()
}

/// A pool with threads. If the system refuses them, the calling thread is alone from now on in a pool of
/// its own, and does all work itself.
fn make_pool() -> Option<Arc<ThreadPool>> {
    let builder = ThreadPoolBuilder::new().num_threads(rayon::current_num_threads());
    let made = builder.thread_name(|number| format!("link {number}"));
    match made.build() {
        Ok(pool) => Some(Arc::new(pool)),
        Err(error) => {
            tracing::warn!("no threads to share the work with: {error}");
            let alone = ThreadPoolBuilder::new().num_threads(1).use_current_thread();
            std::mem::forget(alone.build());
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[test]
    fn a_thread_whose_pool_has_ended_does_what_it_would_hand_over() {
        let member = || {
            let pool = ThreadPoolBuilder::new().num_threads(2).use_current_thread();
            let pool = pool.build().expect("two threads");
            assert_eq!(count(), 2);
            drop(pool);
            end_on_this_thread();
            assert_eq!(count(), 1);
            let done = Arc::new(AtomicBool::new(false));
            let noted = done.clone();
            hand_over(move || noted.store(true, Ordering::Release));
            assert!(done.load(Ordering::Acquire));
        };
        std::thread::spawn(member).join().expect("no panic");
    }
}
