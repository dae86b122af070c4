//! Sessions: dylibs, lookups, and what is linked when.
//!
//! A [`Session`] holds [`Dylib`]s. A client adds objects, archives, libraries, absolute symbols,
//! reexports and its own [`Materializer`]s to them, through a [`Tracker`] that can remove them
//! again; only symbol tables are read then. A lookup finds what defines a name and everything that
//! needs, as one batch, hands it to the [`Linker`], and waits until it is *ready*: in memory, with all
//! it refers to.
//!
//! The rooms of this house, from the ground up:
//!
//! | folder | what is in it | where to begin |
//! |---|---|---|
//! | `tables` | what a session knows, under its one lock | `unit` draws the states; `symbol_table` has the rules of linkers; `state` holds it all |
//! | `batches` | the life of a batch: its work, answers for its link, who waits for it | `publish`; then `work`, `query`, `batch_host`; `deferred` has what is called once the lock is released |
//! | `lookup` | from names to a batch | `resolve` has the waves: `probe` under the lock, `ask` without it; `commons` and `libraries` at their end; `form_batch` makes the batch |
//! | `messages` | errors of lookups and additions in words | `missing` with `hints` and `referrers`; `clash` |
//! | `handles` | what clients hold and bring | `dylib`, `tracker` with `add`, `symbol`; `materializer`, `generator` |
//!
//! - A failed lookup leaves nothing claimed: its units can be looked up again. Everyone who waited
//!   for one of them gets the same error. (Archive members that it had loaded stay known, unlinked;
//!   an object added later still wins over them.)
//! - All public types are `Send + Sync`. One lock guards the tables; nothing of the client, the
//!   linker or the executor is called under it.
//! - The cost of adding or looking up is linear in what is added or linked; what the session holds
//!   already does not matter. Removal costs a pass over the dylib's units if removed definitions had won over
//!   others.
//! - What a [`Symbol`] guards cannot be freed: see [`CodeGuard`] and [`Tracker::remove`].

mod batches;
mod handles;
mod lookup;
mod messages;
mod tables;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::batch::{Batch, BatchHost, DylibId};
use crate::error::LinkError;
use crate::executor::ExecutorControl;
use crate::link::{LinkContext, link_batch};
use crate::name::NameTable;
use crate::platform::Platform;
use crate::symbolize::PlacedCode;

pub use crate::error::duplicates::{DuplicateDefinitions, DuplicateReason, DuplicateSymbol};
pub use crate::error::missing::{MissingSymbol, MissingSymbols};
pub use batches::dispatcher::{Dispatcher, InlineDispatcher, Task, ThreadPool};
pub use handles::add::{AbsoluteSymbol, Reexport};
pub use handles::dylib::{Dylib, LookupOptions, ProgramOptions};
pub use handles::generator::{Generator, Wanted};
pub use handles::materializer::{Materializer, Promise, Responsibility};
pub use handles::symbol::{CodeGuard, Symbol};
pub use handles::tracker::{Removal, Tracker};

use batches::deferred::Effects;
use batches::work::Progress;
use tables::state::State;

/// Links batches. A session's linker is [`JitLinker`] unless the client brings another.
pub trait Linker: Send + Sync {
    /// Links a batch; the outcome goes to `host`: `resolved` and `emitted`, or `failed`. May go on
    /// after it returns. Called without any lock held, from any thread.
    fn link(&self, batch: Batch, host: Arc<dyn BatchHost>);

    /// What its links have put where, if it knows: for [`Session::placed_code`].
    fn placed_code(&self) -> Option<Arc<PlacedCode>> {
        None
    }

    /// A dylib was closed, and its memory is given back.
    fn forget_dylib(&self, dylib: DylibId) {
        let _ = dylib;
    }
}

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
    /// The object format's part.
    pub platform: Arc<dyn Platform>,
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
        let context = LinkContext::new(executor.clone(), platform.clone(), names.clone());
        Self {
            executor,
            platform,
            names,
            linker: Arc::new(JitLinker(Arc::new(context))),
            dispatcher: Arc::new(InlineDispatcher::default()),
            on_error: Box::new(|error| tracing::error!("{error}")),
        }
    }
}

/// A session. A handle, cheap to clone. When the last handle of a session is dropped (a [`Dylib`],
/// [`Tracker`], [`Symbol`] or [`CodeGuard`] is one too), all memory is given back, newest first.
#[derive(Clone)]
pub struct Session(pub(crate) Arc<Inner>);

/// A handle that does not keep the session: for generators and materializers, which the session owns.
#[derive(Clone)]
pub struct WeakSession(Weak<Inner>);

/// What all handles of a session share.
pub(crate) struct Inner {
    executor: Arc<dyn ExecutorControl>,
    platform: Arc<dyn Platform>,
    names: Arc<NameTable>,
    linker: Arc<dyn Linker>,
    dispatcher: Arc<dyn Dispatcher>,
    on_error: Box<dyn Fn(&LinkError) + Send + Sync>,
    state: Mutex<State>,
    progress: Progress,
}

impl Session {
    /// A session without dylibs.
    #[must_use]
    pub fn new(config: SessionConfig) -> Self {
        Self(Arc::new(Inner {
            executor: config.executor,
            platform: config.platform,
            names: config.names,
            linker: config.linker,
            dispatcher: config.dispatcher,
            on_error: config.on_error,
            state: Mutex::default(),
            progress: Progress::default(),
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

    /// The object format's part.
    #[must_use]
    pub fn platform(&self) -> &Arc<dyn Platform> {
        &self.0.platform
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
        let mut effects = Effects::of_removal();
        let trackers = {
            let mut state = self.0.state.lock();
            let trackers = state.remove_all(dylib.id, &mut effects);
            state.close_dylib(dylib.id, &mut effects);
            trackers
        };
        let released = effects.release(&self.0);
        let removal = self.0.state.lock().removal_of(&trackers);
        effects.run(&self.0);
        released?;
        Ok(removal)
    }

    /// Removes everything from all dylibs. What guards keep is given back when they are dropped.
    ///
    /// # Errors
    /// When memory cannot be given back; the rest is done all the same.
    pub fn close(&self) -> Result<(), LinkError> {
        let mut effects = Effects::of_removal();
        {
            let mut state = self.0.state.lock();
            let all: Vec<DylibId> = state.dylibs.iter().map(|(id, _)| id).collect();
            for dylib in all {
                state.remove_all(dylib, &mut effects);
            }
        }
        self.finish(effects)
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

    fn finish(&self, mut effects: Effects) -> Result<(), LinkError> {
        let released = effects.release(&self.0);
        effects.run(&self.0);
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
        let mut effects = Effects::default();
        let state = self.state.get_mut();
        let called = state.called_by_threads();
        for (id, tracker) in state.trackers.drain() {
            // Memory that is dropped stays where it is.
            if !called.contains(&id) {
                effects.releases.extend(tracker.allocations);
            }
        }
        for (_, batch) in state.batches.drain() {
            let memory = batch.allocations.into_iter();
            let memory = memory.map(|(_, order, memory)| (order, memory));
            effects.releases.extend(memory);
        }
        if let Err(error) = effects.give_back() {
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
