//! Threads for linking, which are gone before the program runs.
//!
//! A program must find itself alone in its process: it may count its threads, let its main thread
//! end before others, or be killed by a signal that another thread would take. So the threads are
//! a pool of their own that ends with the link. The main thread is one of the pool, because
//! libraries' constructors must run on it; and a small link starts no others at all.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use orc_target_process::host::process::{
    begin_own_work, end_own_work, exit_now, prepare_for_threads,
};

use super::{FAILED, scratch};

/// Input bytes for which one more thread pays.
const BYTES_PER_THREAD: u64 = 512 * 1024;

type Handles = Arc<Mutex<Vec<JoinHandle<()>>>>;

/// The threads of one link.
pub(super) struct LinkThreads {
    pool: Option<rayon::ThreadPool>,
    handles: Handles,
}

/// How many threads to use at most: what the user said, or as many as there are processors.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit(pub(super) Option<usize>);

impl Limit {
    /// The number. The first question takes a dozen system calls, as containers' limits count.
    pub(super) fn get(self) -> usize {
        let available = || std::thread::available_parallelism().map_or(1, Into::into);
        self.0.unwrap_or_else(available).max(1)
    }

    /// How many threads pay for that much input.
    pub(super) fn worthwhile(self, input_bytes: u64) -> usize {
        match usize::try_from(input_bytes / BYTES_PER_THREAD) {
            Ok(0) => 1,
            Ok(more) => self.get().min(1 + more),
            Err(_) => self.get(),
        }
    }
}

impl LinkThreads {
    /// Whether the calling thread is one of a link's: whoever has given it work takes its panic.
    pub(super) fn is_one() -> bool {
        rayon::current_thread_index().is_some()
    }

    /// Makes the calling thread the first of `count`.
    pub(super) fn start(count: usize) -> Self {
        if count > 1 {
            prepare_for_threads();
        }
        let handles = Handles::default();
        let kept = handles.clone();
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(count)
            .use_current_thread()
            // The hook has said what it was. Nobody waits for this work, but nothing is right any more.
            .panic_handler(|_| {
                scratch::remove_all();
                exit_now(FAILED);
            })
            .spawn_handler(move |thread| {
                let named = std::thread::Builder::new().name("orc-jit link".to_owned());
                let handle = named.spawn(|| {
                    begin_own_work();
                    thread.run();
                    end_own_work();
                })?;
                let mut handles = kept.lock().unwrap_or_else(PoisonError::into_inner);
                handles.push(handle);
                Ok(())
            })
            .build();
        // A thread that is in a pool already, as in a test, stays there.
        Self {
            pool: pool.ok(),
            handles,
        }
    }

    /// Ends all threads but the calling one. What it does in parallel from now on, it does alone.
    pub(super) fn end(mut self) {
        // What is still to be done is done the sooner.
        while rayon::yield_now() == Some(rayon::Yield::Executed) {}
        if let Some(pool) = self.pool.take() {
            drop(pool);
            jit_core::threads::end_on_this_thread();
        }
        let mut handles = self.handles.lock().unwrap_or_else(PoisonError::into_inner);
        for handle in handles.drain(..) {
            // A worker's panic was passed on to whoever waited for its work.
            let _ = handle.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use rayon::prelude::*;

    use super::*;

    #[test]
    fn threads_are_gone_when_the_link_is_done() {
        let worker = std::thread::spawn(|| {
            let threads = LinkThreads::start(3);
            let handles = threads.handles.clone();
            let sum: u64 = (0..10_000u64).into_par_iter().sum();
            assert_eq!(handles.lock().unwrap().len(), 2);
            threads.end();
            assert!(handles.lock().unwrap().is_empty());
            let after: u64 = (0..10_000u64).into_par_iter().sum();
            assert_eq!(sum, after);
        });
        worker.join().unwrap();
    }

    #[test]
    fn small_links_stay_alone() {
        assert_eq!(Limit(Some(8)).worthwhile(100_000), 1);
        assert_eq!(Limit(Some(8)).worthwhile(2 * BYTES_PER_THREAD), 3);
        assert_eq!(Limit(Some(2)).worthwhile(1 << 30), 2);
        assert_eq!(Limit(Some(0)).get(), 1);
    }
}
