//! The handles that clients hold, and what clients bring, as data: what they do is in the files that are
//! named for them.
//!
//! A session keeps clients' generators and materializers, which are given handles of the session: so
//! this file and the session's state need each other. Nothing else does.

use std::sync::{Arc, Weak};

use crate::sync::{Condvar, Mutex};
use orc_shared::ExecutorAddr;

use crate::error::LinkError;
use crate::executor::ExecutorControl;
use crate::ids::{DylibId, TrackerId, UnitId};
use crate::name::{NameGuard, NameId, NameTable};
use crate::object::ObjectInterface;
use crate::platform::Platforms;
use crate::session::batches::dispatcher::Dispatcher;
use crate::session::linker::Linker;
use crate::session::tables::first_calls::FirstCalls;
use crate::session::tables::ids::BatchKey;
use crate::session::tables::speculation::Speculator;
use crate::session::tables::state::State;
use crate::stubs::LazyCalls;
use crate::symbol::SymbolKind;

/// A session. A handle, cheap to clone. When the last handle of a session is dropped (a [`Dylib`],
/// [`Tracker`], [`Symbol`] or [`CodeGuard`] is one too), all memory is given back, newest first.
#[derive(Clone)]
pub struct Session(pub(in crate::session) Arc<Inner>);

/// A handle that does not keep the session: for generators and materializers, which the session owns.
#[derive(Clone)]
pub struct WeakSession(pub(in crate::session) Weak<Inner>);

/// What all handles of a session share.
pub(in crate::session) struct Inner {
    pub(in crate::session) executor: Arc<dyn ExecutorControl>,
    pub(in crate::session) platforms: Arc<Platforms>,
    pub(in crate::session) names: Arc<NameTable>,
    pub(in crate::session) linker: Arc<dyn Linker>,
    pub(in crate::session) dispatcher: Arc<dyn Dispatcher>,
    pub(in crate::session) on_error: Box<dyn Fn(&LinkError) + Send + Sync>,
    pub(in crate::session) state: Mutex<State>,
    pub(in crate::session) progress: Progress,
    pub(in crate::session) lazy_calls: Arc<LazyCalls>,
    /// One replacement at a time.
    pub(in crate::session) replacing: Mutex<()>,
    pub(in crate::session) first_calls: FirstCalls,
    pub(in crate::session) speculator: Arc<Speculator>,
}

/// Wakes waiting threads when a lookup is answered or new work exists.
#[derive(Default)]
pub(in crate::session) struct Progress {
    pub(in crate::session) events: Mutex<u64>,
    pub(in crate::session) changed: Condvar,
}

/// A dylib of a session: a symbol table with a link order. A handle, cheap to clone, which keeps the
/// session alive.
#[derive(Clone)]
pub struct Dylib {
    pub(in crate::session) session: Arc<Inner>,
    pub(in crate::session) id: DylibId,
}

/// A handle to a part of a dylib that can be removed. Dropping the handle removes nothing.
#[derive(Clone)]
pub struct Tracker {
    pub(in crate::session) session: Arc<Inner>,
    pub(in crate::session) dylib: DylibId,
    pub(in crate::session) id: TrackerId,
}

/// A symbol that is linked and ready for use.
#[derive(Clone, Debug)]
pub struct Symbol {
    pub(in crate::session) addr: ExecutorAddr,
    pub(in crate::session) kind: SymbolKind,
    pub(in crate::session) size: u64,
    pub(in crate::session) code: Option<CodeGuard>,
    pub(in crate::session) executor: Weak<dyn ExecutorControl>,
}

/// Keeps the memory of one tracker's code, and of all code it refers to, while it lives.
///
/// Removing a tracker while guards of it live makes its names unknown at once and gives its memory
/// back when the last guard is dropped, on the thread that drops it; a failure then goes to the
/// session's error handler. A guard also keeps the session.
#[derive(Clone)]
pub struct CodeGuard(pub(in crate::session) Arc<Guarded>);

pub(in crate::session) struct Guarded {
    pub(in crate::session) session: Arc<Inner>,
    pub(in crate::session) tracker: TrackerId,
}

/// A name that a lookup did not find in a dylib.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// The name.
    pub name: NameId,
    /// Whether it may stay undefined. As for archives, a weak reference is no reason to bring in
    /// code, but a definition that exists anyway may be given.
    pub weak: bool,
}

/// Asked for names that a dylib does not define, before the lookup goes on to the next dylib.
///
/// A generator adds definitions to the dylib through its public functions, for as many of the names
/// as it can; a name it says nothing about stays missing. It is called without any lock held, from
/// the thread of the lookup, possibly from several at once for the same name: the second definition
/// is then a duplicate, unless the generator adds weak ones or remembers what it gave. Every lookup
/// asks again for what is still missing.
///
/// A generator must not own a strong [`crate::session::Session`] or [`Dylib`] handle, which would keep the
/// session alive forever: it is given the dylib.
pub trait Generator: Send + Sync {
    /// The name for messages.
    fn name(&self) -> &str;

    /// Adds definitions for some of `wanted` to `dylib`.
    ///
    /// # Errors
    /// When the source cannot be read; the lookup fails with it.
    fn generate(&self, dylib: &Dylib, wanted: &[Wanted]) -> Result<(), LinkError>;
}

/// Produces symbols when a lookup needs one of them. Added with [`crate::session::Tracker::add_materializer`].
pub trait Materializer: Send + Sync {
    /// The name for messages.
    fn name(&self) -> String;

    /// Starts to produce the symbols. Called without any lock held, on a thread of the dispatcher or of a
    /// lookup that needs them; once, and again for lookups after a failure. The work may go on after it returns, on
    /// any thread: the responsibility says how it ends. Dropping that unused is a failure.
    fn materialize(&self, responsibility: Responsibility);
}

/// The duty to produce the symbols of one unit: first [`Self::resolve`], then [`Self::emit`]; or
/// [`Self::link`] an object that defines them; or [`Self::fail`].
pub struct Responsibility {
    pub(in crate::session) session: Arc<Inner>,
    pub(in crate::session) batch: BatchKey,
    pub(in crate::session) unit: UnitId,
    pub(in crate::session) dylib: DylibId,
    pub(in crate::session) tracker: TrackerId,
    pub(in crate::session) interface: Arc<ObjectInterface>,
    pub(in crate::session) who: Arc<str>,
    pub(in crate::session) requested: Vec<NameId>,
    pub(in crate::session) settled: bool,
    /// Its names mean what they mean, even if the unit is removed.
    pub(in crate::session) _guard: NameGuard,
}
