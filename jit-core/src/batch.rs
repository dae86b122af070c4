//! The border between the session, which decides what is linked together, and the linker.
//!
//! A *batch* is all object files that one lookup pulled in. The session claims them under its
//! lock, releases the lock, and hands the batch to [`crate::link::link_batch`]; the linker answers
//! through [`BatchHost`].

use std::sync::Arc;

use orc_shared::ExecutorAddr;

use crate::error::LinkError;
use crate::executor::Finalized;
use crate::graph::SymbolId;
use crate::name::NameId;
use crate::native::{NativeLibrary, NativeSymbol};
use crate::object::{Claims, ObjectFile, SymbolKind};
use crate::platform::LinkerDefined;
use crate::statics::{KnownStatics, Statics};

pub use crate::ids::{DylibId, TrackerId, UnitId};

/// One object of a batch.
#[derive(Clone)]
pub struct BatchUnit {
    /// The session's name for it.
    pub id: UnitId,
    /// The dylib whose symbol table and link order it resolves against.
    pub dylib: DylibId,
    /// What its memory belongs to.
    pub tracker: TrackerId,
    /// The object.
    pub object: Arc<dyn ObjectFile>,
    /// Which of its definitions are in force.
    pub claims: Claims,
    /// Symbols of its graph that have stubs, and the names of these: whatever in it takes such a symbol's
    /// address means the stub.
    pub stubs: Vec<(SymbolId, NameId)>,
    /// What it takes so that it can be replaced, if that is wanted.
    pub replaceable: Option<Replaceable>,
}

/// What a link has to do so that an object can be replaced while it runs: all references to its functions,
/// its own calls among them, lead to stubs, and the places of its variables are written down.
#[derive(Clone, Default)]
pub struct Replaceable {
    /// The variables of the version that runs, if the object replaces one: it uses them, and does not
    /// initialize them again.
    pub(crate) running: Option<Arc<KnownStatics>>,
}

/// How a batch meets the process's libraries.
#[derive(Clone)]
pub enum NativeBinding {
    /// Libraries are loaded already; imports are bound one by one (`dlsym`).
    Immediate,
    /// The batch is the program: the loader binds both directions ([`crate::executor::api::ProgramImage`]).
    Program(ProgramLink),
}

/// What is done when a program is in place, before any code of it or of its libraries runs.
#[derive(Clone)]
pub struct BeforeStart(pub Arc<dyn Fn() + Send + Sync>);

impl std::fmt::Debug for BeforeStart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BeforeStart")
    }
}

/// What the loader has to know of the program beside its symbols.
#[derive(Clone, Default)]
pub struct ProgramLink {
    /// Libraries to load with the program, in command-line order.
    pub libraries: Vec<Arc<dyn NativeLibrary>>,
    /// What those need, which the loader finds by itself.
    pub dependencies: Vec<Arc<dyn NativeLibrary>>,
    /// Directories the loader searches for them first.
    pub search_path: Vec<String>,
    /// Whether those directories hold for what the libraries need, too, and come before the ones of
    /// the environment (`DT_RPATH`).
    pub search_path_for_all: bool,
    /// Visible definitions of the program to enter beside those that its libraries name: for `dlsym`
    /// and for libraries that it opens while it runs.
    pub exported: Exported,
    /// The program has a C library of its own, and no part in this process's: it exports nothing, runs
    /// IFUNC resolvers itself, by the linker's table of them, and calls its own initializers.
    pub own_c_library: bool,
    /// Weak references that nothing known defines are null, whatever is loaded when the program runs.
    pub undefined_weak_is_null: bool,
    /// No variable of a library is copied into the program: a reference that needs it is an error.
    pub no_copies: bool,
    /// The program's arguments, its name first, for what is called before its libraries are
    /// initialized.
    pub args: Vec<Vec<u8>>,
    /// What is done before it starts.
    pub before_start: Option<BeforeStart>,
    /// The program lies at the same addresses each time, below 2 GiB.
    pub fixed_addresses: bool,
    /// Its thread-locals have to be at fixed offsets from the thread pointer, where code reaches them fastest:
    /// it is an error if there is no room.
    pub fixed_thread_locals: bool,
    /// Stop before the program is there, with the error [`LinkError::Rehearsed`].
    pub rehearse: Option<Rehearsal>,
}

/// How far a link goes that leaves no program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rehearsal {
    /// All objects are read, and every name has a meaning. Nothing is laid out, no library is loaded.
    Names,
    /// To the end; then everything is given back. Nothing of the program has run, nor of libraries
    /// that were loaded for it.
    All,
}

/// Whether a name is meant.
pub type NameFilter = dyn Fn(&[u8]) -> bool + Send + Sync;

/// Names of definitions.
#[derive(Clone, Default)]
pub enum Exported {
    /// None.
    #[default]
    Nothing,
    /// Those that satisfy this.
    Matching(Arc<NameFilter>),
    /// All.
    Everything,
}

/// Objects that are linked together.
pub struct Batch {
    /// The objects, in link order.
    pub units: Vec<BatchUnit>,
    /// How they meet the process's libraries.
    pub binding: NativeBinding,
    /// Drop sections that nothing reachable refers to. `Some` holds the roots: names that must be
    /// kept. `None` keeps every section.
    pub roots: Option<Vec<(DylibId, NameId)>>,
}

/// What a name of an object's symbol table means in its dylib.
#[derive(Clone, Debug)]
pub enum Resolution {
    /// A definition of the same batch: the unit's place in [`Batch::units`], and the symbol of its
    /// graph.
    InBatch {
        /// Index into [`Batch::units`].
        unit: u32,
        /// The symbol of that unit's graph.
        symbol: SymbolId,
    },
    /// Something with a known address: an earlier batch's definition or an absolute symbol.
    Address {
        /// Its address; for thread-locals, their place
        /// ([`TlsPlace::value`](crate::executor::api::TlsPlace::value)).
        addr: ExecutorAddr,
        /// What it names.
        kind: SymbolKind,
    },
    /// A definition of a unit that another thread or a client is materializing; its address is known when
    /// [`BatchHost::when_dependencies_resolved`] calls back.
    Pending {
        /// The unit that will define it.
        unit: UnitId,
        /// The name to ask for then.
        name: NameId,
        /// The dylib that defines it.
        dylib: DylibId,
        /// What it names.
        kind: SymbolKind,
    },
    /// A symbol of one of the process's libraries, loaded or about to be.
    Native(Box<NativeSymbol>),
    /// The linker provides it.
    Linker(LinkerDefined),
    /// Undefined, and every reference to it is weak: its address is null.
    Null,
}

const _: () = assert!(size_of::<Resolution>() <= 32, "a link has many");

/// Addresses of one unit's definitions, in the order of its interface's `definitions`; null for
/// what is not in memory. A lost definition may be, and come into force later. For thread-locals, their place
/// ([`TlsPlace::value`](crate::executor::api::TlsPlace::value)); for IFUNCs, the address callers use.
pub type UnitAddresses = Vec<ExecutorAddr>;

/// What the linker asks of the session while it links a batch. All calls may come from any thread;
/// none is made under a lock of the linker.
pub trait BatchHost: Send + Sync {
    /// What `name`, as seen from `dylib`, means. Every name a unit of the batch refers to, and every
    /// lost definition, has an answer (missing ones were reported before the batch was formed).
    fn resolve(&self, dylib: DylibId, name: NameId) -> Resolution;

    /// The definition in force of `name` in `dylib`'s own table, if any, whatever its scope
    /// allows: for exports.
    fn own_definition(&self, dylib: DylibId, name: NameId) -> Option<Resolution>;

    /// Names of `dylib`'s own table that are other names of definitions in it.
    fn other_names(&self, dylib: DylibId) -> Vec<NameId>;

    /// Publishes addresses, per unit of the batch: other batches may now refer to them.
    fn resolved(&self, addresses: Vec<UnitAddresses>);

    /// Tells where the variables of its units are, as far as these can be replaced.
    fn statics(&self, statics: Vec<Option<Arc<Statics>>>);

    /// Calls `then` once every unit that the batch refers to is resolved; with the error if one
    /// of them failed. `then` may be called before this returns.
    fn when_dependencies_resolved(&self, then: Box<dyn FnOnce(Result<(), LinkError>) + Send>);

    /// The address of a [`Resolution::Pending`] symbol, after its unit resolved.
    fn pending_address(&self, dylib: DylibId, name: NameId) -> Option<ExecutorAddr>;

    /// The batch is a program that is in memory and final. Libraries are still to be initialized, and may call it,
    /// before it is [`emitted`](Self::emitted).
    fn in_place(&self);

    /// The batch is in memory, final, its actions done: the session owns the allocations now.
    fn emitted(&self, allocations: Vec<(TrackerId, Box<dyn Finalized>)>);

    /// The batch failed and left nothing behind.
    fn failed(&self, error: LinkError);
}
