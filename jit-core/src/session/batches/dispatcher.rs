//! Where work runs that a lookup starts: client materializers, and links of asynchronous lookups.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};
use std::thread;

use crate::sync::{Condvar, Mutex, ThreadId, this_thread};
use orc_system::waiting::prepare_to_wait;

/// A piece of work. Running it is always harmless: if a thread that waits for its result has done it
/// meanwhile, nothing happens.
pub type Task = Box<dyn FnOnce() + Send>;

/// Runs tasks.
///
/// A thread that waits for a lookup does not depend on the dispatcher: what its lookup needs and nobody
/// has started, it starts itself. So any number of threads is enough for any chain of lookups
/// within materializers.
pub trait Dispatcher: Send + Sync {
    /// Takes a task to run soon. It is never run before this returns, so chains of tasks do not nest.
    fn dispatch(&self, task: Task);

    /// Runs one task that waits for the calling thread, if there is one. For dispatchers without threads:
    /// the session calls this when a thread has left it.
    fn run_one(&self) -> bool {
        false
    }
}

/// Runs tasks on the threads that make lookups: each thread its own.
#[derive(Default)]
pub struct InlineDispatcher {
    tasks: Mutex<HashMap<ThreadId, VecDeque<Task>>>,
}

impl Dispatcher for InlineDispatcher {
    fn dispatch(&self, task: Task) {
        let mut tasks = self.tasks.lock();
        tasks.entry(this_thread()).or_default().push_back(task);
    }

    fn run_one(&self) -> bool {
        let task = {
            let mut tasks = self.tasks.lock();
            let thread = this_thread();
            let own = tasks.get_mut(&thread);
            let task = own.and_then(VecDeque::pop_front);
            if task.is_none() {
                tasks.remove(&thread);
            }
            task
        };
        task.map(|run| run()).is_some()
    }
}

/// Runs tasks on threads of its own. They start when first needed and end when the dispatcher is
/// dropped and the tasks are done.
pub struct ThreadPool {
    queue: Arc<Queue>,
    threads_max: usize,
}

#[derive(Default)]
struct Queue {
    tasks: Mutex<Tasks>,
    changed: Condvar,
}

#[derive(Default)]
struct Tasks {
    waiting: VecDeque<Task>,
    /// The process that the threads are in: one that is forked from it has none of them.
    process: u32,
    idle: usize,
    threads: usize,
    closed: bool,
}

impl ThreadPool {
    /// A pool of up to `threads_max` threads, at least one.
    #[must_use]
    pub fn new(threads_max: usize) -> Self {
        Self {
            queue: Arc::default(),
            threads_max: threads_max.max(1),
        }
    }
}

impl Dispatcher for ThreadPool {
    fn dispatch(&self, task: Task) {
        let mut tasks = self.queue.tasks.lock();
        let process = std::process::id();
        if std::mem::replace(&mut tasks.process, process) != process {
            (tasks.idle, tasks.threads) = (0, 0);
        }
        tasks.waiting.push_back(task);
        if tasks.idle < tasks.waiting.len() && tasks.threads < self.threads_max {
            let queue = Arc::downgrade(&self.queue);
            let started = thread::Builder::new()
                .name("jit-dispatch".to_owned())
                .spawn(move || work(&queue));
            // Without a thread, waiting lookups still do the work.
            tasks.threads += usize::from(started.is_ok());
        }
        drop(tasks);
        self.queue.changed.notify_one();
    }
}

impl Drop for ThreadPool {
    fn drop(&mut self) {
        // Not joined: the last handle of a session may be dropped by one of these threads.
        self.queue.tasks.lock().closed = true;
        self.queue.changed.notify_all();
    }
}

fn work(queue: &Weak<Queue>) {
    let Some(queue) = queue.upgrade() else {
        return;
    };
    prepare_to_wait();
    let mut tasks = queue.tasks.lock();
    loop {
        if let Some(task) = tasks.waiting.pop_front() {
            drop(tasks);
            // A panicking materializer fails its batch when its responsibility is dropped; the
            // thread goes on.
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(task));
            tasks = queue.tasks.lock();
        } else if tasks.closed {
            return;
        } else {
            tasks.idle += 1;
            queue.changed.wait(&mut tasks);
            tasks.idle -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn inline_tasks_run_when_asked_and_do_not_nest() {
        let dispatcher = Arc::new(InlineDispatcher::default());
        let (done, order) = mpsc::channel();
        let inner = dispatcher.clone();
        let send = done.clone();
        dispatcher.dispatch(Box::new(move || {
            let again = send.clone();
            inner.dispatch(Box::new(move || again.send(2).expect("open")));
            send.send(1).expect("open");
        }));
        assert!(order.try_recv().is_err());
        while dispatcher.run_one() {}
        assert_eq!(order.try_iter().collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn pool_survives_a_panic_and_uses_its_threads() {
        let pool = ThreadPool::new(2);
        let (done, results) = mpsc::channel();
        pool.dispatch(Box::new(|| panic!("on purpose")));
        for n in 0..10 {
            let done = done.clone();
            pool.dispatch(Box::new(move || done.send(n).expect("open")));
        }
        let mut all: Vec<i32> = results.iter().take(10).collect();
        all.sort_unstable();
        assert_eq!(all, (0..10).collect::<Vec<_>>());
    }
}
