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
//! | `batches` | the life of a batch: its work, answers for its link, who waits for it | `publish`; then `work`, `query`, `batch_host`; `removal` undoes; `replacement` swaps; `deferred` has what is called once the lock is released |
//! | `lookup` | from names to a batch | `resolve` has the waves: `probe` under the lock, `ask` without it; `commons` and `libraries` at their end; `defer` lets functions wait; `form_batch` makes the batch; `overlay` is for objects that nobody sees yet |
//! | `messages` | errors of lookups and additions in words | `missing` with `hints` and `referrers`; `clash` |
//! | `handles` | what clients hold and bring | `definitions`; then `session`, `dylib`, `tracker` with `add` and `replace`, `lazy`, `first_calls`, `speculation`, `symbol`, `materializer` |
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
mod linker;
mod lookup;
mod messages;
mod tables;
#[cfg(test)]
mod tests;

pub use crate::error::duplicates::{DuplicateDefinitions, DuplicateReason, DuplicateSymbol};
pub use crate::error::missing::{MissingSymbol, MissingSymbols};
pub use batches::dispatcher::{Dispatcher, InlineDispatcher, Task, ThreadPool};
pub use handles::add::{AbsoluteSymbol, Reexport};
pub use handles::definitions::{
    CodeGuard, Dylib, Generator, Materializer, Responsibility, Session, Symbol, Tracker, Wanted,
    WeakSession,
};
pub use handles::dylib::{LookupOptions, ProgramOptions};
pub use handles::lazy::LazyOptions;
pub use handles::materializer::Promise;
pub use handles::replace::{ReplaceOptions, Replaced};
pub use handles::session::{JitLinker, SessionConfig};
pub use handles::tracker::Removal;
pub use linker::Linker;
pub use tables::first_calls::{FirstCall, LazyCounts};
pub use tables::speculation::Speculation;
