//! Waiting in a process whose loader may be at work.

use std::cell::Cell;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// Lets this thread wait without asking the loader for anything.
///
/// What a thread needs to wait is registered with the loader the first time, under the loader's lock.
/// Somebody may hold that (a library's constructor that calls a function which is linked on first call), and
/// wait for a lock that this thread holds while it waits. So this is to be called before.
pub fn prepare_to_wait() {
    thread_local! {
        static IS_PREPARED: Cell<bool> = const { Cell::new(false) };
    }
    if !IS_PREPARED.replace(true) {
        let nothing = Mutex::new(());
        Condvar::new().wait_for(&mut nothing.lock(), Duration::from_nanos(1));
    }
}
