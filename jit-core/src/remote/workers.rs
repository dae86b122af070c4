//! Threads that answer the executor's calls.
//!
//! A call is answered on a thread of its own, never on the one that receives, nor on one that waits for a
//! result: an answer may itself call the executor, or wait for a link that the waiting thread is in
//! the middle of. Threads are kept for a while, for the next call.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// How long a thread waits for work before it ends.
const IDLE: Duration = Duration::from_secs(5);

type Job = Box<dyn FnOnce() + Send>;

/// The threads of a connection; they end when it does.
#[derive(Default)]
pub(super) struct Workers(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    jobs: Vec<Job>,
    idle: usize,
    closed: bool,
}

impl Workers {
    /// Runs a job on a thread that does nothing else meanwhile. Gives it back if there is no thread.
    pub(super) fn run(&self, job: Job) -> Result<(), Job> {
        let mut state = self.0.state.lock();
        state.jobs.push(job);
        if state.jobs.len() <= state.idle {
            drop(state);
            self.0.changed.notify_one();
            return Ok(());
        }
        drop(state);
        let shared = Arc::clone(&self.0);
        let named = thread::Builder::new().name("orc handler".to_owned());
        match named.spawn(move || shared.work()) {
            Ok(_) => Ok(()),
            Err(_) => match self.0.state.lock().jobs.pop() {
                Some(job) => Err(job),
                None => Ok(()),
            },
        }
    }
}

impl Shared {
    fn work(&self) {
        let mut state = self.state.lock();
        loop {
            if let Some(job) = state.jobs.pop() {
                drop(state);
                job();
                state = self.state.lock();
                continue;
            }
            if state.closed {
                return;
            }
            state.idle += 1;
            let waited = self.changed.wait_for(&mut state, IDLE);
            state.idle -= 1;
            if waited.timed_out() && state.jobs.is_empty() {
                return;
            }
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        // Not joined: a job may wait for whoever drops this.
        self.0.state.lock().closed = true;
        self.0.changed.notify_all();
    }
}
