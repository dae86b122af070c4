//! `--timings`: where the time went, as a tree of phases.
//!
//! The linker marks its phases with `tracing` spans. This collects them: spans of one name below
//! one parent are added up. Phases on worker threads have no parent of their own thread, so they
//! appear at the end, with time added up over threads.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::span;
use tracing::{Event, Metadata, Subscriber};

/// Collects spans.
#[derive(Clone)]
pub(super) struct Timings(Arc<Collected>);

struct Collected {
    start: Instant,
    main_thread: std::thread::ThreadId,
    next_id: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Phases in the order in which they first started; the first is the root of the main thread,
    /// the second that of all others.
    phases: Vec<Phase>,
    /// Open spans: their phase and when they were last entered.
    open: HashMap<u64, OpenSpan>,
}

struct Phase {
    name: &'static str,
    parent: usize,
    time: Duration,
    count: u64,
}

struct OpenSpan {
    phase: usize,
    entered: Option<Instant>,
    handles: u64,
}

const MAIN: usize = 0;
const WORKERS: usize = 1;

thread_local! {
    /// The spans this thread is in, innermost last.
    static ENTERED: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

impl Timings {
    /// Starts collecting, for the whole process.
    pub(super) fn start() -> Self {
        let root = |name, parent| Phase {
            name,
            parent,
            time: Duration::ZERO,
            count: 1,
        };
        let timings = Self(Arc::new(Collected {
            start: Instant::now(),
            main_thread: std::thread::current().id(),
            next_id: AtomicU64::new(1),
            state: Mutex::new(State {
                phases: vec![root("total", MAIN), root("on worker threads", WORKERS)],
                open: HashMap::new(),
            }),
        }));
        // A second subscriber in one process (a test) keeps the first.
        let _ = tracing::subscriber::set_global_default(timings.clone());
        timings
    }

    /// The tree, one line per phase.
    pub(super) fn report(&self) -> String {
        let mut state = self.lock();
        state.phases[MAIN].time = self.0.start.elapsed();
        let mut text = String::new();
        state.show(MAIN, 0, &mut text);
        if state.phases.iter().skip(2).any(|p| p.parent == WORKERS) {
            state.show(WORKERS, 0, &mut text);
        }
        text
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn show(&self, at: usize, depth: usize, text: &mut String) {
        let phase = &self.phases[at];
        let times = if phase.count > 1 {
            format!("  ×{}", phase.count)
        } else {
            String::new()
        };
        let children = || (2..self.phases.len()).filter(move |&c| self.phases[c].parent == at);
        let time = if at == WORKERS {
            children().map(|c| self.phases[c].time).sum()
        } else {
            phase.time
        };
        let milliseconds = time.as_secs_f64() * 1e3;
        let indent = depth * 2;
        let name = phase.name;
        text.push_str(&format!(
            "{milliseconds:>10.3} ms  {:indent$}{name}{times}\n",
            ""
        ));
        for child in children() {
            self.show(child, depth + 1, text);
        }
    }

    /// The phase of this name below a parent.
    fn phase(&mut self, parent: usize, name: &'static str) -> usize {
        let same = |p: &Phase| p.parent == parent && p.name == name;
        if let Some(at) = self.phases.iter().skip(2).position(same) {
            return at + 2;
        }
        self.phases.push(Phase {
            name,
            parent,
            time: Duration::ZERO,
            count: 0,
        });
        self.phases.len() - 1
    }
}

impl Subscriber for Timings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span()
    }

    fn new_span(&self, attributes: &span::Attributes<'_>) -> span::Id {
        let id = self.0.next_id.fetch_add(1, Ordering::Relaxed);
        let outer = match attributes.parent() {
            Some(parent) => Some(parent.into_u64()),
            None => ENTERED.with_borrow(|spans| spans.last().copied()),
        };
        let mut state = self.lock();
        let on_main = std::thread::current().id() == self.0.main_thread;
        let parent = outer
            .and_then(|outer| state.open.get(&outer).map(|span| span.phase))
            .unwrap_or(if on_main { MAIN } else { WORKERS });
        let phase = state.phase(parent, attributes.metadata().name());
        state.phases[phase].count += 1;
        state.open.insert(
            id,
            OpenSpan {
                phase,
                entered: None,
                handles: 1,
            },
        );
        span::Id::from_u64(id)
    }

    fn record(&self, _span: &span::Id, _values: &span::Record<'_>) {}

    fn record_follows_from(&self, _span: &span::Id, _follows: &span::Id) {}

    fn event(&self, _event: &Event<'_>) {}

    fn enter(&self, span: &span::Id) {
        ENTERED.with_borrow_mut(|spans| spans.push(span.into_u64()));
        if let Some(open) = self.lock().open.get_mut(&span.into_u64()) {
            open.entered = Some(Instant::now());
        }
    }

    fn exit(&self, span: &span::Id) {
        ENTERED.with_borrow_mut(Vec::pop);
        let mut state = self.lock();
        let Some(open) = state.open.get_mut(&span.into_u64()) else {
            return;
        };
        let (phase, entered) = (open.phase, open.entered.take());
        if let Some(entered) = entered {
            state.phases[phase].time += entered.elapsed();
        }
    }

    fn clone_span(&self, id: &span::Id) -> span::Id {
        if let Some(open) = self.lock().open.get_mut(&id.into_u64()) {
            open.handles += 1;
        }
        id.clone()
    }

    fn try_close(&self, id: span::Id) -> bool {
        let mut state = self.lock();
        let Some(open) = state.open.get_mut(&id.into_u64()) else {
            return false;
        };
        open.handles -= 1;
        let closed = open.handles == 0;
        if closed {
            state.open.remove(&id.into_u64());
        }
        closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_add_up_below_their_parents() {
        let timings = Timings::start();
        tracing::subscriber::with_default(timings.clone(), || {
            for _ in 0..3 {
                let _outer = tracing::info_span!("outer").entered();
                let _inner = tracing::info_span!("inner").entered();
            }
            let _other = tracing::info_span!("other").entered();
        });
        let report = timings.report();
        let names: Vec<&str> = report
            .lines()
            .map(|line| line.split(" ms  ").nth(1).unwrap())
            .collect();
        assert_eq!(names, ["total", "  outer  ×3", "    inner  ×3", "  other"]);
    }
}
