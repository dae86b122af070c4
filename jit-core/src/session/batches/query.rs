//! What waits for batches: lookups for readiness, links for the addresses of what they refer to.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::sync::Mutex;

use crate::batch::DylibId;
use crate::error::LinkError;
use crate::executor::api::{Import, ImportKind};
use crate::name::{NameGuard, NameId};
use crate::native::NativeSymbol;
use crate::object::SymbolKind;
use orc_shared::ExecutorAddr;

use crate::session::handles::definitions::{CodeGuard, Inner, Symbol};
use crate::session::tables::ids::{BatchKey, IdSet};
use crate::session::tables::state::{Phase, State};
use crate::session::tables::unit::{Source, UnitState};

/// Called once with a lookup's outcome.
pub(in crate::session) type Then = Box<dyn FnOnce(Result<Vec<Symbol>, LinkError>) + Send>;

/// Symbols of a lookup's names, under the session's lock; natives are bound later.
pub(in crate::session) type Collected = Result<Vec<Option<Symbol>>, LinkError>;

/// Where a lookup found a name.
#[derive(Clone)]
pub(in crate::session) enum Found {
    /// The definition in force of a name in a dylib.
    Defined {
        dylib: DylibId,
        name: NameId,
    },
    Native(Box<NativeSymbol>),
    /// Nowhere, which the lookup allowed.
    Nothing,
}

/// A lookup that waits for batches.
pub(in crate::session) struct Query {
    found: Vec<Found>,
    /// Batches to wait for. Changed under the session's lock only.
    remaining: AtomicUsize,
    then: Mutex<Option<Then>>,
    /// Until it is told what the names have become.
    _guard: Arc<NameGuard>,
}

impl Query {
    pub(in crate::session) fn new(found: Vec<Found>, then: Then, guard: Arc<NameGuard>) -> Self {
        Self {
            _guard: guard,
            found,
            remaining: AtomicUsize::new(0),
            then: Mutex::new(Some(then)),
        }
    }

    /// Takes the callback back: the lookup fails before it waits.
    pub(in crate::session) fn take_callback(&self) -> Option<Then> {
        self.then.lock().take()
    }

    pub(in crate::session) fn wait_for_one_more(&self) {
        self.remaining.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether that was the last batch.
    pub(in crate::session) fn one_is_ready(&self) -> bool {
        self.remaining.fetch_sub(1, Ordering::Relaxed) == 1
    }

    /// Under the session's lock: addresses of what it found, each guarded against removal.
    pub(in crate::session) fn collect(&self, session: &Arc<Inner>, state: &mut State) -> Collected {
        // Guards must not be dropped under the lock, so nothing fails once the first is made.
        let places = self
            .found
            .iter()
            .map(|found| match found {
                Found::Defined { dylib, name } => place(session, state, *dylib, *name).map(Some),
                Found::Native(_) | Found::Nothing => Ok(None),
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(places
            .into_iter()
            .map(|place| {
                place.map(|(symbol, tracker)| Symbol {
                    code: Some(CodeGuard::new(session, state, tracker)),
                    ..symbol
                })
            })
            .collect())
    }

    /// Without a lock: binds what the process's libraries define, and reports.
    pub(in crate::session) fn finish(&self, session: &Inner, outcome: Collected) {
        let Some(then) = self.then.lock().take() else {
            return;
        };
        then(outcome.and_then(|symbols| self.bind(session, symbols)));
    }

    fn bind(
        &self,
        session: &Inner,
        symbols: Vec<Option<Symbol>>,
    ) -> Result<Vec<Symbol>, LinkError> {
        let natives: Vec<&NativeSymbol> = self
            .found
            .iter()
            .filter_map(|found| match found {
                Found::Native(native) => Some(&**native),
                _ => None,
            })
            .collect();
        let mut addresses = bind_natives(session, &natives)?.into_iter();
        Ok(symbols
            .into_iter()
            .zip(&self.found)
            .map(|(symbol, found)| match (symbol, found) {
                (Some(symbol), _) => symbol,
                (None, Found::Native(native)) => {
                    Symbol::native(session, native, addresses.next().unwrap_or_default())
                }
                (None, _) => Symbol::nothing(session),
            })
            .collect())
    }
}

impl Inner {
    /// The definition in force of a name, if it may be called though a link that it refers to is not over: all that
    /// it refers to is in memory and final. While a program's libraries are initialized, that is so for the
    /// program.
    pub(in crate::session) fn find_in_place(
        self: &Arc<Self>,
        dylib: DylibId,
        name: NameId,
    ) -> Option<Symbol> {
        let mut state = self.state.lock();
        let (unit, _) = state.dylib(dylib).defined(name)?;
        let UnitState::InBatch(batch) = state.units[unit].state else {
            return None;
        };
        if !state.is_in_place(batch) {
            return None;
        }
        let (symbol, tracker) = place(self, &state, dylib, name).ok()?;
        let code = Some(CodeGuard::new(self, &mut state, tracker));
        Some(Symbol { code, ..symbol })
    }
}

impl State {
    /// Whether a batch, and all that it refers to, is in memory and final.
    fn is_in_place(&self, batch: BatchKey) -> bool {
        let mut reached: IdSet<BatchKey> = IdSet::default();
        let mut stack = vec![batch];
        while let Some(key) = stack.pop() {
            // One that is not there any more is ready.
            let Some(batch) = self.batches.get(&key).filter(|_| reached.insert(key)) else {
                continue;
            };
            if batch.phase != Phase::Emitted && !batch.in_place {
                return false;
            }
            stack.extend(&batch.depends_on);
        }
        true
    }
}

/// The symbol a name stands for, and the tracker its code belongs to.
fn place(
    session: &Inner,
    state: &State,
    dylib: DylibId,
    name: NameId,
) -> Result<(Symbol, crate::batch::TrackerId), LinkError> {
    let gone = || LinkError::Removed {
        what: format!(
            "the definition of {} in dylib \"{}\"",
            session.names.readable(name),
            state.dylib(dylib).name
        ),
    };
    let (id, entry) = state.dylib(dylib).defined(name).ok_or_else(gone)?;
    let unit = &state.units[id];
    let definition = unit.definition(entry.index).ok_or_else(gone)?;
    let addr = unit.addresses.get(entry.index as usize).copied();
    let addr = addr.ok_or_else(gone)?;
    if addr.is_null() && !matches!(unit.source, Source::Absolute(..)) {
        return Err(LinkError::Removed {
            what: format!(
                "{} (unreachable from the roots of the link of {})",
                session.names.readable(name),
                unit.source.name()
            ),
        });
    }
    let symbol = Symbol {
        addr,
        kind: definition.kind,
        size: definition.size,
        code: None,
        executor: Arc::downgrade(&session.executor),
    };
    Ok((symbol, unit.tracker))
}

/// Addresses of libraries' symbols, bound one by one. Opens libraries that are not loaded: those of a
/// program are, and their files may not be the ones that the linker read.
fn bind_natives(
    session: &Inner,
    natives: &[&NativeSymbol],
) -> Result<Vec<ExecutorAddr>, LinkError> {
    if natives.is_empty() {
        return Ok(Vec::new());
    }
    let open = |of_program: bool| -> Result<(), LinkError> {
        for native in natives {
            if let (None, Some(library)) = (native.load_bias, &native.library)
                && library.is_of_program() == of_program
            {
                session.executor.open_library(library.path())?;
            }
        }
        Ok(())
    };
    let imports: Vec<Import> = natives
        .iter()
        .map(|native| import_of(session, native))
        .collect();
    open(false)?;
    let mut values = session.executor.bind_imports(&imports)?;
    let is_bound = |at: usize| values.get(at).is_some_and(Option::is_some);
    if !(0..imports.len()).all(is_bound) {
        open(true)?;
        values = session.executor.bind_imports(&imports)?;
    }
    let missing = |import: &Import| {
        LinkError::Executor(crate::executor::ExecutorError::Failed(format!(
            "the loader does not find {}, though a library's file defines it",
            crate::demangle::describe(&import.name)
        )))
    };
    let addresses = imports.iter().enumerate().map(|(at, import)| {
        let value = values.get(at).copied().flatten();
        value
            .map(|value| ExecutorAddr::new(value.value))
            .ok_or_else(|| missing(import))
    });
    addresses.collect()
}

fn import_of(session: &Inner, native: &NativeSymbol) -> Import {
    let (name, _) = session.platforms.usual().split_version(&native.name);
    let version = native.library.as_ref().and_then(|library| {
        let version = library.version(&native.name)?;
        Some((version, library.loader_name().as_bytes().to_vec()))
    });
    Import {
        name: name.to_vec(),
        version,
        kind: ImportKind::Address,
        weak: false,
    }
}

/// The kind of symbol that a library's definition is.
pub(in crate::session) fn native_kind(native: &NativeSymbol) -> SymbolKind {
    use crate::executor::api::NativeKind;
    match native.symbol.kind {
        NativeKind::Function => SymbolKind::Function,
        NativeKind::Data => SymbolKind::Data,
        NativeKind::ThreadLocal => SymbolKind::ThreadLocal,
    }
}

/// Continues a link.
type Continue = Box<dyn FnOnce(Result<(), LinkError>) + Send>;

/// A link that waits until several batches are resolved.
pub(in crate::session) struct Countdown {
    remaining: AtomicUsize,
    then: Mutex<Option<Continue>>,
}

impl Countdown {
    pub(in crate::session) fn new(batches: usize, then: Continue) -> Arc<Self> {
        Arc::new(Self {
            remaining: AtomicUsize::new(batches),
            then: Mutex::new(Some(then)),
        })
    }

    /// One batch is resolved or has failed. Called without a lock.
    pub(in crate::session) fn done(&self, outcome: Result<(), LinkError>) {
        let last = self.remaining.fetch_sub(1, Ordering::AcqRel) == 1;
        if (last || outcome.is_err())
            && let Some(then) = { self.then.lock().take() }
        {
            then(outcome);
        }
    }
}
