//! Who does the work of a batch, and how threads wait without waiting for each other.
//!
//! Work (a link, or a client's materializer) lies in its batch until somebody starts it: a thread of
//! the dispatcher, or a thread that waits for the batch. A materializer may itself make lookups and
//! wait. The rule that keeps this free of deadlocks: a thread that waits within a task starts only
//! work that *its own lookup needs*. What lies above a waiting call on a stack is then always something the
//! call waits for anyway, so stacks add no dependencies to those the code has by itself.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use super::Inner;
use super::ids::BatchKey;
use super::materializer::Responsibility;
use super::state::Work;

/// Wakes waiting threads when a lookup is answered or new work exists.
#[derive(Default)]
pub(super) struct Progress {
    events: Mutex<u64>,
    changed: Condvar,
}

thread_local! {
    /// Pieces of work that this thread is in.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

impl Inner {
    /// Starts a batch's work on this thread, unless somebody has started it.
    pub(super) fn start_work(self: &Arc<Self>, key: BatchKey) {
        let work = {
            let mut state = self.state.lock();
            state.batches.get_mut(&key).and_then(|b| b.work.take())
        };
        let Some(work) = work else {
            return;
        };
        DEPTH.set(DEPTH.get() + 1);
        // A panic drops the host or the responsibility, which fails the batch. It goes no further,
        // because the thread may belong to a lookup of somebody else.
        let done = catch_unwind(AssertUnwindSafe(|| match work {
            Work::Materialize => Responsibility::start(self, key),
            Work::Link(batch, host) => self.linker.link(*batch, host),
        }));
        DEPTH.set(DEPTH.get() - 1);
        if done.is_err() {
            tracing::error!("a linker or materializer panicked");
        }
    }

    /// Lets the dispatcher start a batch's work.
    pub(super) fn dispatch_work(self: &Arc<Self>, key: BatchKey) {
        let session = self.clone();
        self.dispatcher
            .dispatch(Box::new(move || session.start_work(key)));
    }

    /// Runs what an inline dispatcher holds for this thread. Not from within a task: the outermost
    /// call runs it all, so that chains of materializers do not grow the stack.
    pub(super) fn run_own_tasks(&self) {
        if DEPTH.get() == 0 {
            while self.dispatcher.run_one() {}
        }
    }

    /// Does work that a batch needs until `outcome` gives something.
    pub(super) fn work_until<T>(
        self: &Arc<Self>,
        batch: BatchKey,
        mut outcome: impl FnMut() -> Option<T>,
    ) -> T {
        loop {
            let seen = *self.progress.events.lock();
            if let Some(outcome) = outcome() {
                return outcome;
            }
            let work = self.state.lock().work_for(batch);
            if let Some(key) = work {
                self.start_work(key);
                self.run_own_tasks();
                continue;
            }
            let mut events = self.progress.events.lock();
            while *events == seen {
                self.progress.changed.wait(&mut events);
            }
        }
    }

    /// Lets waiting threads look again.
    pub(super) fn wake_waiting(&self) {
        *self.progress.events.lock() += 1;
        self.progress.changed.notify_all();
    }
}
