//! Lazy functions that linked code refers to, which may be linked before they are called.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use crate::sync::{Condvar, Mutex};

use crate::ids::DylibId;
use crate::name::NameId;

/// How far a session links ahead of calls.
#[derive(Clone, Copy, Debug)]
pub struct Speculation {
    /// How many calls ahead: 1 is what linked code refers to itself, 2 what that refers to in turn.
    pub depth_max: u32,
    /// How many functions are linked ahead, or tried to be.
    pub functions_max: usize,
    /// Called first on the thread that does it.
    pub thread_starts: fn(),
}

impl Default for Speculation {
    fn default() -> Self {
        Self {
            depth_max: 2,
            functions_max: 4096,
            thread_starts: || {},
        }
    }
}

/// What there is to link ahead. It outlives its session, for the thread that does the work.
#[derive(Default)]
pub(in crate::session) struct Speculator {
    /// Whether it is asked for, and has not ended.
    is_on: AtomicBool,
    /// The process whose thread does the work. One that is forked from it has none, and may find the queue
    /// locked for ever.
    process: AtomicU32,
    /// First calls that are being answered: they go first.
    calls: AtomicUsize,
    /// Functions that were linked ahead.
    linked: AtomicUsize,
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    settings: Speculation,
    is_started: bool,
    /// Functions by depth; the newest are at the end.
    waiting: Vec<Vec<Candidate>>,
    /// How many may still be tried.
    left: usize,
}

/// A function that may be linked ahead.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::session) struct Candidate {
    pub(in crate::session) dylib: DylibId,
    pub(in crate::session) name: NameId,
    /// How many calls ahead it is.
    pub(in crate::session) depth: u32,
}

/// Answers a first call, until dropped.
pub(in crate::session) struct AnswersCall<'a>(&'a Speculator);

impl Drop for AnswersCall<'_> {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::Release);
    }
}

impl Speculator {
    /// From now on functions are noted.
    pub(in crate::session) fn start(&self, settings: Speculation) {
        let mut queue = self.queue.lock();
        queue.left = settings.functions_max;
        queue.settings = settings;
        self.process.store(std::process::id(), Ordering::Relaxed);
        self.is_on.store(true, Ordering::Release);
    }

    /// Nothing is linked ahead any more, but for what is being linked now.
    pub(in crate::session) fn stop(&self) {
        if self.is_on() {
            // Whoever waits, or is about to, hears of it.
            let mut queue = self.queue.lock();
            self.is_on.store(false, Ordering::Release);
            queue.waiting.clear();
            self.changed.notify_all();
        }
    }

    /// Whether this process links ahead.
    pub(in crate::session) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Acquire)
            && self.process.load(Ordering::Relaxed) == std::process::id()
    }

    /// How many functions were linked ahead.
    pub(in crate::session) fn linked(&self) -> usize {
        self.linked.load(Ordering::Relaxed)
    }

    pub(in crate::session) fn one_is_linked(&self) {
        self.linked.fetch_add(1, Ordering::Relaxed);
    }

    /// A first call is answered while the result lives.
    pub(in crate::session) fn call(&self) -> AnswersCall<'_> {
        self.calls.fetch_add(1, Ordering::Acquire);
        AnswersCall(self)
    }

    /// Notes functions that code refers to which is linked `depth` calls ahead.
    pub(in crate::session) fn note(
        &self,
        dylib: DylibId,
        depth: u32,
        names: impl IntoIterator<Item = NameId>,
    ) {
        if !self.is_on() {
            return;
        }
        let mut queue = self.queue.lock();
        let depth = depth + 1;
        if depth > queue.settings.depth_max {
            return;
        }
        let place = depth as usize - 1;
        if queue.waiting.len() <= place {
            queue.waiting.resize_with(place + 1, Vec::new);
        }
        let waiting: usize = queue.waiting.iter().map(Vec::len).sum();
        let room = queue.left.saturating_sub(waiting);
        let candidate = |name| Candidate { dylib, name, depth };
        let mut new: Vec<_> = names.into_iter().take(room).map(candidate).collect();
        // The first one is taken first.
        new.reverse();
        queue.waiting[place].append(&mut new);
    }

    /// Notes a function that could not be tried.
    pub(in crate::session) fn note_again(&self, candidate: Candidate) {
        if self.is_on() {
            let mut queue = self.queue.lock();
            queue.left += 1;
            let place = candidate.depth as usize - 1;
            if let Some(waiting) = queue.waiting.get_mut(place) {
                waiting.push(candidate);
            }
        }
    }

    /// Lets noted functions be linked. The thread that does so has to be started if there is a result: what
    /// that thread calls first.
    pub(in crate::session) fn wake(&self) -> Option<fn()> {
        if !self.is_on() {
            return None;
        }
        let mut queue = self.queue.lock();
        if queue.waiting.iter().all(Vec::is_empty) {
            return None;
        }
        self.changed.notify_one();
        let start = (!queue.is_started).then_some(queue.settings.thread_starts);
        queue.is_started = true;
        start
    }

    /// The next function to be linked; waits for one, as long as first calls are answered. None at the end.
    pub(in crate::session) fn next(&self) -> Option<Candidate> {
        /// How long after a first call it is looked again.
        const PAUSE: Duration = Duration::from_micros(200);
        let mut queue = self.queue.lock();
        loop {
            if !self.is_on() || queue.left == 0 {
                return None;
            }
            if self.calls.load(Ordering::Acquire) > 0 {
                self.changed.wait_for(&mut queue, PAUSE);
            } else if let Some(next) = queue.waiting.iter_mut().find_map(Vec::pop) {
                queue.left -= 1;
                return Some(next);
            } else {
                self.changed.wait(&mut queue);
            }
        }
    }
}
