//! Who does the work of a batch, and how threads wait without waiting for each other.
//!
//! Work (a link, or a client's materializer) lies in its batch until somebody starts it: a thread of
//! the dispatcher, or a thread that waits for the batch. A materializer may itself make lookups and
//! wait. The rule that keeps this free of deadlocks: a thread that waits within a task starts only
//! work that *its own lookup needs*. What lies above a waiting call on a stack is then always something the
//! call waits for anyway, so stacks add no dependencies to those the code has by itself.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use orc_system::waiting::prepare_to_wait;

use crate::error::LinkError;
#[cfg(feature = "models")]
use crate::sync::thread_local;

use crate::session::batches::deferred::DeferredCalls;
use crate::session::handles::definitions::{Inner, Responsibility};
use crate::session::tables::ids::{BatchKey, IdSet};
use crate::session::tables::state::Work;

/// What a thread is doing for sessions.
#[derive(Default)]
struct OfThread {
    /// Batches whose resolution, link or materializer it is in.
    within: Vec<Within>,
    /// What is to fail with the text of the panic that it is in.
    unwound: Vec<Box<Unwound>>,
}

thread_local! {
    static OF_THREAD: RefCell<OfThread> = RefCell::default();
}

/// Asks or changes what this thread is doing. Lazy functions are called at the end of a thread, too, when
/// its thread-locals are gone: nothing is remembered then.
fn of_thread<R>(ask: impl FnOnce(&mut OfThread) -> R) -> R {
    let mut ask = Some(ask);
    let mut answer = |of_thread: &mut OfThread| ask.take().map(|ask| ask(of_thread));
    let answered = OF_THREAD.try_with(|of_thread| answer(&mut of_thread.borrow_mut()));
    let answered = answered.unwrap_or_else(|_| answer(&mut OfThread::default()));
    answered.expect("it is asked once")
}

/// Fails a batch, given what became of who should have ended it.
type Unwound = dyn FnOnce(&Arc<Inner>, String);

/// The text of a panic.
fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("without a text").to_owned()
}

/// A batch that the thread works on. Sessions are told apart by address.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Within {
    session: usize,
    batch: BatchKey,
    /// A materializer may have handed its duty to another thread, which will do it.
    is_client: bool,
}

/// Marks the thread as working on a batch, until dropped.
pub(in crate::session) struct WithinBatch;

impl WithinBatch {
    pub(in crate::session) fn new(session: &Arc<Inner>, batch: BatchKey, is_client: bool) -> Self {
        let session = Arc::as_ptr(session).addr();
        let entered = Within {
            session,
            batch,
            is_client,
        };
        of_thread(|it| it.within.push(entered));
        Self
    }
}

impl Drop for WithinBatch {
    fn drop(&mut self) {
        of_thread(|it| _ = it.within.pop());
    }
}

impl Inner {
    /// Starts a batch's work on this thread, unless somebody has started it.
    pub(in crate::session) fn start_work(self: &Arc<Self>, key: BatchKey) {
        let (work, doomed) = {
            let mut state = self.state.lock();
            let batch = state.batches.get_mut(&key);
            batch.map_or((None, None), |b| (b.work.take(), b.doomed.clone()))
        };
        let work = match (work, doomed) {
            (Some(Work::Link(_, host)), Some(error)) => return host.failed(error),
            (Some(work), _) => work,
            (None, _) => return,
        };
        let within = WithinBatch::new(self, key, matches!(work, Work::Materialize));
        // A panic drops the host or the responsibility, which fails the batch. It goes no further,
        // because the thread may belong to a lookup of somebody else.
        let done = catch_unwind(AssertUnwindSafe(|| match work {
            Work::Materialize => Responsibility::start(self, key),
            Work::Link(batch, host) => self.linker.link(*batch, host),
        }));
        drop(within);
        let text = done.err().map(|panic| text_of(&*panic));
        if let Some(text) = &text {
            tracing::error!("a linker or materializer panicked: {text}");
        }
        let text = text.unwrap_or_else(|| "and went on".to_owned());
        for fail in of_thread(|it| std::mem::take(&mut it.unwound)) {
            fail(self, format!("panicked: {text}"));
        }
    }

    /// Fails a batch because who has to end its work was dropped. If that is because of a panic that
    /// ends the work on this thread, only who started the work knows the panic's text.
    pub(in crate::session) fn dropped(
        self: &Arc<Self>,
        batch: BatchKey,
        error: impl FnOnce(Option<String>) -> LinkError + 'static,
    ) {
        let session = Arc::as_ptr(self).addr();
        let is_ours = |w: &Within| w.session == session && w.batch == batch;
        if std::thread::panicking() && of_thread(|it| it.within.iter().any(is_ours)) {
            let fail = move |session: &Arc<Self>, text| session.fail(batch, error(Some(text)));
            of_thread(|it| it.unwound.push(Box::new(fail)));
        } else {
            self.fail(batch, error(None));
        }
    }

    fn fail(self: &Arc<Self>, batch: BatchKey, error: LinkError) {
        let mut deferred = DeferredCalls::default();
        self.state
            .lock()
            .fail_first_cause(batch, error, &mut deferred);
        deferred.run(self);
    }

    /// Lets the dispatcher start a batch's work.
    pub(in crate::session) fn dispatch_work(self: &Arc<Self>, key: BatchKey) {
        let session = self.clone();
        self.dispatcher
            .dispatch(Box::new(move || session.start_work(key)));
    }

    /// Runs what an inline dispatcher holds for this thread. Not from within a task: the outermost
    /// call runs it all, so that chains of materializers do not grow the stack.
    pub(in crate::session) fn run_own_tasks(&self) {
        if of_thread(|it| it.within.is_empty()) {
            while self.dispatcher.run_one() {}
        }
    }

    /// Does work that a batch needs until `outcome` gives something.
    pub(in crate::session) fn work_until<T>(
        self: &Arc<Self>,
        batch: BatchKey,
        mut outcome: impl FnMut() -> Option<Result<T, LinkError>>,
    ) -> Result<T, LinkError> {
        loop {
            let seen = *self.progress.events.lock();
            if let Some(outcome) = outcome() {
                return outcome;
            }
            let (work, reached) = self.state.lock().work_for(batch);
            if let Some(key) = work {
                self.start_work(key);
                self.run_own_tasks();
                continue;
            }
            if self.is_within(&reached) {
                return Err(LinkError::WaitsForItself);
            }
            prepare_to_wait();
            let mut events = self.progress.events.lock();
            while *events == seen {
                self.progress.changed.wait(&mut events);
            }
        }
    }

    /// Whether this thread is in the middle of forming or linking one of the batches.
    fn is_within(self: &Arc<Self>, batches: &IdSet<BatchKey>) -> bool {
        let session = Arc::as_ptr(self).addr();
        of_thread(|it| {
            it.within.iter().any(|within| {
                within.session == session && !within.is_client && batches.contains(&within.batch)
            })
        })
    }

    /// Lets waiting threads look again.
    pub(in crate::session) fn wake_waiting(&self) {
        *self.progress.events.lock() += 1;
        self.progress.changed.notify_all();
    }
}

/// A batch that is ready to be linked, and clients' units to start with it.
pub(in crate::session) struct Formed {
    pub(in crate::session) session: Arc<Inner>,
    pub(in crate::session) link: Option<BatchKey>,
    pub(in crate::session) clients: Vec<BatchKey>,
}

impl Formed {
    /// Starts clients' materializers through the dispatcher, and the link on this thread.
    pub(in crate::session) fn start(self) {
        self.dispatch_clients();
        if let Some(key) = self.link {
            self.session.start_work(key);
        }
    }

    /// Starts everything through the dispatcher.
    pub(in crate::session) fn dispatch(self) {
        if let Some(key) = self.link {
            self.session.dispatch_work(key);
        }
        self.dispatch_clients();
    }

    fn dispatch_clients(&self) {
        for client in &self.clients {
            self.session.dispatch_work(*client);
        }
        // Threads that wait for this batch may find work that it now depends on.
        self.session.wake_waiting();
    }
}
