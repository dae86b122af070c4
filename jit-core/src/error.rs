//! Errors of sessions and links: enums that carry the facts.

pub mod duplicates;
pub mod missing;
pub mod references;

use std::sync::Arc;

use orc_shared::listed;

use crate::executor::ExecutorError;
use crate::object::ObjectError;
use crate::statics::StaticsChanged;

use self::duplicates::DuplicateDefinitions;
use self::missing::MissingSymbols;
use self::references::{DiscardedReference, OutOfRange, UnboundImports, UnsupportedEdge};

/// Why a link failed. Cloned to every query that waited for it.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// An object could not be read or uses something unsupported.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// The executor failed.
    #[error(transparent)]
    Executor(#[from] ExecutorError),
    /// Several failures of one kind or of several objects, all found before the link stopped.
    #[error("{}", join(.0))]
    Many(Arc<[LinkError]>),
    /// Names that nothing defines: all of them at once.
    #[error("{0}")]
    MissingSymbols(Arc<MissingSymbols>),
    /// An object's definitions clash with those of other objects of the dylib.
    #[error("{0}")]
    DuplicateDefinitions(Arc<DuplicateDefinitions>),
    /// A dylib, tracker or unit was removed before the operation was done with it.
    #[error("{what} was removed")]
    Removed {
        /// What was removed, as in "tracker 3 of dylib \"app\"".
        what: String,
    },
    /// A chain of reexports that leads back to itself.
    #[error("reexport of {name} in dylib \"{dylib}\" never ends: it leads back to a reexport")]
    ReexportCycle {
        /// The name that was asked for, demangled.
        name: String,
        /// The dylib it was asked in.
        dylib: String,
    },
    /// A lookup within a link that waits for that very link.
    #[error(
        "the lookup waits for a link that its own thread is in the middle of: a generator or a rayon \
         job looked up a name of the link it is part of"
    )]
    WaitsForItself,
    /// A client's materializer or generator failed, or broke its promise.
    #[error("{who}: {message}")]
    Client {
        /// The materializer's or generator's name.
        who: String,
        /// What went wrong.
        message: String,
    },
    /// A reference does not reach its target.
    #[error("{0}")]
    OutOfRange(Arc<OutOfRange>),
    /// Kept code or data refers to a discarded definition.
    #[error("{0}")]
    DiscardedReference(Arc<DiscardedReference>),
    /// A reference that cannot be made to work.
    #[error("{0}")]
    UnsupportedEdge(Arc<UnsupportedEdge>),
    /// A variable of a library is referred to as if it were the program's, and must not be copied.
    #[error(
        "`{symbol}` of {library} is referred to as if it were the program's own variable, so it would \
         have to be copied into the program, and -z nocopyreloc forbids that: compile with -fPIC"
    )]
    NeedsCopy {
        /// The variable.
        symbol: String,
        /// The library that has it.
        library: String,
    },
    /// The process lacks what its libraries' files promise.
    #[error("{0}")]
    UnboundImports(Arc<UnboundImports>),
    /// An object cannot replace the one that runs, because of its variables.
    #[error("{0}")]
    StaticsChanged(Arc<StaticsChanged>),
    /// The link would have worked; nothing more was asked for.
    #[error("the link was a rehearsal")]
    Rehearsed,
    /// A bug in this project.
    #[error("internal error: {0}")]
    Internal(String),
}

/// Errors of one link that a message has.
const SHOWN_MAX: usize = 100;

fn join(errors: &[LinkError]) -> String {
    listed(errors, "\n", SHOWN_MAX)
}
