//! Sessions: made, asked for dylibs, closed.

use std::sync::Arc;

use crate::sync::Mutex;

use crate::batch::{Batch, BatchHost};
use crate::error::LinkError;
use crate::executor::ExecutorControl;
use crate::ids::DylibId;
use crate::link::{LinkContext, link_batch};
use crate::name::NameTable;
use crate::platform::{Platform, Platforms};
use crate::session::batches::deferred::DeferredCalls;
use crate::session::batches::dispatcher::{Dispatcher, InlineDispatcher};
use crate::session::handles::definitions::{
    CodeGuard, Dylib, Inner, Progress, Responsibility, Session, Symbol, Tracker, WeakSession,
};
use crate::session::handles::tracker::Removal;
use crate::session::linker::Linker;
use crate::session::tables::first_calls::FirstCalls;
use crate::symbolize::PlacedCode;

/// The JIT linker of [`crate::link`].
pub struct JitLinker(pub Arc<LinkContext>);

impl Linker for JitLinker {
    fn link(&self, batch: Batch, host: Arc<dyn BatchHost>) {
        link_batch(&self.0, batch, host);
    }

    fn placed_code(&self) -> Option<Arc<PlacedCode>> {
        Some(self.0.placed.clone())
    }

    fn forget_dylib(&self, dylib: DylibId) {
        self.0.forget_dylib(dylib);
    }
}

/// What a session is made of.
pub struct SessionConfig {
    /// The process that runs the code.
    pub executor: Arc<dyn ExecutorControl>,
    /// The object formats' part. Its linker has to have the same.
    pub platforms: Arc<Platforms>,
    /// The names; share it with what reads the objects.
    pub names: Arc<NameTable>,
    /// What links batches.
    pub linker: Arc<dyn Linker>,
    /// Where materializers and asynchronous links run.
    pub dispatcher: Arc<dyn Dispatcher>,
    /// Called with errors that nobody waits for, such as memory that cannot be given back when the
    /// last guard is dropped.
    pub on_error: Box<dyn Fn(&LinkError) + Send + Sync>,
}

impl SessionConfig {
    /// The JIT linker, tasks on the threads that make lookups, and errors that go to the log.
    #[must_use]
    pub fn new(
        executor: Arc<dyn ExecutorControl>,
        platform: Arc<dyn Platform>,
        names: Arc<NameTable>,
    ) -> Self {
        let platforms = Platforms::new(platform);
        let context = LinkContext::new(executor.clone(), platforms.clone(), names.clone());
        Self {
            executor,
            platforms,
            names,
            linker: Arc::new(JitLinker(Arc::new(context))),
            dispatcher: Arc::new(InlineDispatcher::default()),
            on_error: Box::new(|error| tracing::error!("{error}")),
        }
    }
}

impl Session {
    /// A session without dylibs.
    #[must_use]
    pub fn new(config: SessionConfig) -> Self {
        config.names.session_starts();
        Self(Arc::new(Inner {
            executor: config.executor,
            platforms: config.platforms,
            names: config.names,
            linker: config.linker,
            dispatcher: config.dispatcher,
            on_error: config.on_error,
            state: Mutex::default(),
            progress: Progress::default(),
            lazy_calls: Arc::default(),
            replacing: Mutex::default(),
            first_calls: FirstCalls::default(),
            speculator: Arc::default(),
        }))
    }

    /// The names.
    #[must_use]
    pub fn names(&self) -> &Arc<NameTable> {
        &self.0.names
    }

    /// The process that runs the code.
    #[must_use]
    pub fn executor(&self) -> &Arc<dyn ExecutorControl> {
        &self.0.executor
    }

    /// The object formats' part.
    #[must_use]
    pub fn platforms(&self) -> &Platforms {
        &self.0.platforms
    }

    /// A new dylib, whose link order is itself. Names of dylibs are for messages and [`Self::find_dylib`].
    #[must_use]
    pub fn add_dylib(&self, name: &str) -> Dylib {
        let id = self.0.state.lock().add_dylib(name.to_owned());
        if let Some(placed) = self.0.linker.placed_code() {
            placed.name_dylib(id, name);
        }
        self.dylib(id)
    }

    /// A new dylib, as [`Self::add_dylib`] makes it, for objects of another platform than the usual one.
    #[must_use]
    pub fn add_dylib_for(&self, name: &str, platform: Arc<dyn Platform>) -> Dylib {
        let dylib = self.add_dylib(name);
        self.0.platforms.choose(dylib.id, platform);
        dylib
    }

    /// The oldest dylib of that name that was not closed.
    #[must_use]
    pub fn find_dylib(&self, name: &str) -> Option<Dylib> {
        let state = self.0.state.lock();
        let named = state.dylibs.iter().filter(|(_, it)| it.name == name);
        let (id, _) = named.min_by_key(|(_, it)| it.created)?;
        Some(self.dylib(id))
    }

    /// The dylib of that id, which the session gave out.
    #[must_use]
    pub fn dylib(&self, id: DylibId) -> Dylib {
        Dylib {
            session: self.0.clone(),
            id,
        }
    }

    /// Closes a dylib: removes everything that was added to it, as [`Tracker::remove`] does, and its
    /// place in others' link orders. Nothing can be added to it or found in it any more, and once its
    /// memory is given back, nothing of it is left.
    ///
    /// # Errors
    /// When memory cannot be given back; the dylib is closed all the same.
    pub fn close_dylib(&self, dylib: &Dylib) -> Result<Removal, LinkError> {
        let mut deferred = DeferredCalls::of_removal();
        let trackers = {
            let mut state = self.0.state.lock();
            let trackers = state.remove_all(dylib.id, &mut deferred);
            state.close_dylib(dylib.id, &mut deferred);
            trackers
        };
        let released = deferred.release(&self.0);
        let removal = self.0.state.lock().removal_of(&trackers);
        deferred.run(&self.0);
        released?;
        Ok(removal)
    }

    /// Removes everything from all dylibs. What guards keep is given back when they are dropped.
    ///
    /// # Errors
    /// When memory cannot be given back; the rest is done all the same.
    pub fn close(&self) -> Result<(), LinkError> {
        let mut deferred = DeferredCalls::of_removal();
        {
            let mut state = self.0.state.lock();
            let all: Vec<DylibId> = state.dylibs.iter().map(|(id, _)| id).collect();
            for dylib in all {
                state.remove_all(dylib, &mut deferred);
            }
        }
        self.finish(deferred)
    }

    /// A handle that does not keep the session.
    #[must_use]
    pub fn downgrade(&self) -> WeakSession {
        WeakSession(Arc::downgrade(&self.0))
    }

    /// What the linker has put where, for [`crate::symbolize::Symbolizer::new`]. Empty if the linker is
    /// a client's that does not tell. Does not keep the session.
    #[must_use]
    pub fn placed_code(&self) -> Arc<PlacedCode> {
        self.0.linker.placed_code().unwrap_or_default()
    }

    fn finish(&self, mut deferred: DeferredCalls) -> Result<(), LinkError> {
        let released = deferred.release(&self.0);
        deferred.run(&self.0);
        Ok(released?)
    }
}

impl WeakSession {
    /// The session, if it still exists.
    #[must_use]
    pub fn upgrade(&self) -> Option<Session> {
        self.0.upgrade().map(Session)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.speculator.stop();
        self.names.session_ends();
        let mut deferred = DeferredCalls::default();
        let state = self.state.get_mut();
        let called = state.called_by_threads();
        for (id, tracker) in state.trackers.drain() {
            // Memory that is dropped stays where it is.
            if !called.contains(&id) {
                deferred.releases.extend(tracker.allocations);
            }
        }
        for (_, batch) in state.batches.drain() {
            let memory = batch.allocations.into_iter();
            let memory = memory.map(|(_, order, memory)| (order, memory));
            deferred.releases.extend(memory);
        }
        if let Err(error) = deferred.give_back() {
            (self.on_error)(&error.into());
        }
    }
}

const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<Session>();
    shared::<Dylib>();
    shared::<Tracker>();
    shared::<Symbol>();
    shared::<CodeGuard>();
    shared::<Responsibility>();
};
