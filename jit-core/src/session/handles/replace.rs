//! Objects that take the place of others while these run.

use std::sync::Arc;

use crate::sync::Mutex;

use super::definitions::{Inner, Tracker};
use super::tracker::Removal;
use crate::error::LinkError;
use crate::ids::{DylibId, TrackerId, UnitId};
use crate::name::{NameGuard, NameId};
use crate::object::{ObjectError, ObjectFile, SymbolKind};
use crate::session::batches::deferred::DeferredCalls;
use crate::session::batches::query::{Query, Then};
use crate::session::lookup::overlay::Overlay;
use crate::session::lookup::resolve::Resolver;
use crate::session::messages::clash;
use crate::session::tables::ids::{BatchKey, IdMap, IdSet};
use crate::session::tables::state::State;
use crate::session::tables::symbol_table::Clash;
use crate::session::tables::unit::{LinkRank, Source, Unit, UnitState};
use crate::statics::{KnownStatics, RunningStatics, Statics};
use crate::stubs::{Behind, Bound, Redirection};

/// How objects are replaced.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ReplaceOptions {
    /// Variables start anew, with what the new version's source says, and the new version's initializers
    /// are there for the next initialization of the dylib. Otherwise they keep their values.
    pub fresh_statics: bool,
}

/// Code that was replaced, and may still run: calls that were under way go on in it, and data points to its
/// constants. Its memory stays until [`Replaced::retire`], or until its tracker is removed.
#[must_use = "its memory stays"]
pub struct Replaced {
    session: Arc<Inner>,
    tracker: TrackerId,
}

impl Replaced {
    /// Says that nobody runs the code any more and that nothing points to its constants. Its memory goes as
    /// that of a removed tracker does: when nothing else uses it. While a newer version uses variables that
    /// are in it, it stays.
    ///
    /// # Errors
    /// When memory cannot be given back.
    pub fn retire(self) -> Result<Removal, LinkError> {
        let mut deferred = DeferredCalls::default();
        self.session
            .state
            .lock()
            .retire(self.tracker, &mut deferred);
        let released = deferred.release(&self.session);
        let removal = self.session.state.lock().removal(self.tracker);
        deferred.run(&self.session);
        released?;
        Ok(removal)
    }
}

impl std::fmt::Debug for Replaced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Replaced").field(&self.tracker.0).finish()
    }
}

/// How often a replacement starts anew at most, because what it replaces was linked meanwhile.
const ATTEMPTS: usize = 16;

/// Why a replacement has to do something again.
#[derive(Clone, Copy)]
enum Again {
    /// A part of the old version is being linked.
    Wait(BatchKey),
    /// The old version is another one than it was: more of it is linked, or something was added.
    Anew,
}

/// One attempt to replace a tracker's objects.
struct Attempt<'a> {
    handle: &'a Tracker,
    old: TrackerId,
    out: Vec<UnitId>,
    /// Those of `out` that are linked.
    linked: IdSet<UnitId>,
    new: TrackerId,
    into: Vec<UnitId>,
}

impl Tracker {
    /// Puts objects in the place of those that were added through this tracker, in one step, while they run.
    /// The dylib has to allow it ([`crate::session::Dylib::allow_replacement`]), and nothing but objects may be
    /// in the tracker.
    ///
    /// Whoever calls a function of them gets into the new one from then on, also through pointers that were
    /// taken before; whoever has entered a new one gets into no old one by calling others. Lookups find
    /// each name at any time. Calls under way go on in the old code. Variables, thread-locals among them,
    /// keep their values (see [`crate::statics`]), and initializers do not run again. A name that the new objects
    /// do not define is not found any more; who uses it already keeps the old one.
    ///
    /// Replacements of one session are made one after another. A materializer must not make one.
    ///
    /// # Errors
    /// As for [`Tracker::add_object`] and [`crate::session::Dylib::lookup`];
    /// [`LinkError::StaticsChanged`]; when the tracker cannot be replaced. Everything goes on as it was then.
    pub fn replace(
        &self,
        objects: &[Arc<dyn ObjectFile>],
        options: ReplaceOptions,
    ) -> Result<Replaced, LinkError> {
        let ours = self.session.executor.architecture();
        for object in objects {
            if let Some(other) = object.architecture().filter(|other| *other != ours) {
                return Err(ObjectError::for_another_cpu(object.name(), other, ours).into());
            }
        }
        let _one = self.session.replacing.lock();
        for _ in 0..ATTEMPTS {
            let (attempt, overlay) = Attempt::begin(self, objects, options)?;
            let linked = attempt.link(overlay);
            match linked.and_then(|()| attempt.take_place()) {
                Ok(true) => return Ok(attempt.succeed()),
                Ok(false) => attempt.undo(),
                Err(error) => {
                    attempt.undo();
                    return Err(error);
                }
            }
        }
        let state = self.session.state.lock();
        Err(refused(&state, self.dylib, "it changes all the time"))
    }
}

fn refused(state: &State, dylib: DylibId, problem: &str) -> LinkError {
    LinkError::Client {
        who: format!("replacement in dylib \"{}\"", state.dylib(dylib).name),
        message: problem.to_owned(),
    }
}

impl<'a> Attempt<'a> {
    /// Adds the new objects where nobody sees them, but they each other.
    fn begin(
        handle: &'a Tracker,
        objects: &[Arc<dyn ObjectFile>],
        options: ReplaceOptions,
    ) -> Result<(Self, Overlay), LinkError> {
        let session = &handle.session;
        let mut guard = session.state.lock();
        let state = &mut *guard;
        let old = state.generation(handle.id);
        let out = state.replaceable_objects(old);
        let out = out.map_err(|problem| refused(state, handle.dylib, problem))?;
        let linked = out.iter().copied();
        let linked = linked.filter(|unit| state.units[*unit].state == UnitState::Ready);
        let linked: IdSet<UnitId> = linked.collect();
        let new = state.add_tracker(handle.dylib);
        let mut attempt = Self {
            handle,
            old,
            out,
            linked,
            new,
            into: Vec::with_capacity(objects.len()),
        };
        let running = attempt.add_units(state, objects, options);
        let overlay = Overlay::new(state, handle.dylib, &attempt.into, &attempt.out, running);
        match overlay {
            Ok(overlay) => Ok((attempt, overlay)),
            Err(clash) => {
                let error = clash_error(session, state, &clash);
                drop(guard);
                attempt.undo();
                Err(error)
            }
        }
    }

    /// Returns what each new unit sees of the variables that are there.
    fn add_units(
        &mut self,
        state: &mut State,
        objects: &[Arc<dyn ObjectFile>],
        options: ReplaceOptions,
    ) -> IdMap<UnitId, Arc<KnownStatics>> {
        let statics = self.out.iter();
        let statics: Vec<Arc<Statics>> = statics
            .filter(|unit| self.linked.contains(*unit))
            .filter_map(|unit| state.units[*unit].statics.clone())
            .collect();
        let statics = Arc::new(RunningStatics::new(&statics));
        let dylib = self.handle.dylib;
        let mut running = IdMap::default();
        for object in objects {
            let rank: LinkRank = (state.dylib_mut(dylib).next_rank(), 0);
            let source = Source::Object(object.clone());
            let unit = Unit::new(source, dylib, self.new, rank, None);
            let id = state.units.add(unit);
            self.into.push(id);
            if !options.fresh_statics {
                let known = KnownStatics::new(&statics, object.name(), objects.len() == 1);
                running.insert(id, Arc::new(known));
            }
        }
        // The memory of variables stays as long as the new version.
        if let Some(first) = self.into.first().filter(|_| !options.fresh_statics) {
            for owner in statics.owners() {
                state.add_tracker_dependency(self.new, owner, *first);
            }
        }
        let stubs = state.stub_tracker(self.old);
        if let Some(tracker) = state.trackers.get_mut(&self.new) {
            tracker.units.clone_from(&self.into);
            // Stubs of new functions belong to the others'.
            tracker.replacement.stubs = Some(stubs);
        }
        running
    }

    /// Links the new objects, if any of the old ones is linked.
    fn link(&self, overlay: Overlay) -> Result<(), LinkError> {
        if self.linked.is_empty() {
            return Ok(());
        }
        let session = &self.handle.session;
        let resolver = Resolver::new(session);
        let batch = resolver.batch;
        session.wait_for(batch, |then| {
            if let Some(formed) = resolver.link_overlay(overlay, &self.into, then) {
                formed.start();
            }
            session.run_own_tasks();
        })
    }

    /// Leads all to the new version; false if the old one is another by now.
    fn take_place(&self) -> Result<bool, LinkError> {
        let session = &self.handle.session;
        loop {
            let redirections = {
                let mut state = session.state.lock();
                let again = self.look(&state)?;
                let redirections = self.redirections(&state);
                if again.is_none() {
                    state.bind_all(&redirections);
                }
                again.map_or(Ok(redirections), Err)
            };
            let outcome = match redirections {
                Ok(redirections) => self.lead(&redirections)?,
                Err(again) => Some(again),
            };
            match outcome {
                None => return Ok(true),
                Some(Again::Wait(batch)) => self.wait_for_end(batch),
                Some(Again::Anew) => return Ok(false),
            }
        }
    }

    /// Swaps the versions, and leads the stubs, unless the old version is another by now.
    fn lead(&self, redirections: &[Redirection]) -> Result<Option<Again>, LinkError> {
        let (session, dylib) = (&self.handle.session, self.handle.dylib);
        let (mut again, mut swapped) = (None, None);
        let swap = || {
            let mut state = session.state.lock();
            again = self.look(&state)?;
            if again.is_some() {
                return Err(LinkError::Internal("a replacement has to wait".to_owned()));
            }
            let done = state.swap_units(dylib, &self.out, &self.into);
            done.map_err(|clash| clash_error(session, &state, &clash))?;
            swapped = Some(state.forget_stubs(dylib, &self.out));
            Ok(())
        };
        let outcome = session.lead_elsewhere(redirections, swap);
        if again.is_some() {
            return Ok(again);
        }
        if let (Err(_), Some(forgotten)) = (&outcome, swapped) {
            let mut state = session.state.lock();
            // They were there before.
            let _ = state.swap_units(dylib, &self.into, &self.out);
            state.remember_stubs(dylib, forgotten);
        }
        outcome.map(|()| None)
    }

    /// The stubs of the new functions, and where they are to lead.
    fn redirections(&self, state: &State) -> Vec<Redirection> {
        let of_unit = |id: &UnitId| {
            let unit = &state.units[*id];
            let definitions = (0u32..).zip(&unit.source.interface().definitions);
            let functions = definitions.filter(|(index, definition)| {
                definition.kind == SymbolKind::Function && !unit.lost.contains(index)
            });
            functions.filter_map(|(index, definition)| {
                let addr = unit.addresses.get(index as usize).copied()?;
                let code = Bound {
                    addr,
                    tracker: Some(self.new),
                };
                self.redirection(state, definition.name, Behind::Code(code))
            })
        };
        let mut all: Vec<Redirection> = self.into.iter().flat_map(of_unit).collect();
        all.extend(self.of_others(state));
        all
    }

    /// The stubs of functions that the new version does not have, and another object of the dylib does:
    /// that is found by the next call.
    fn of_others(&self, state: &State) -> Vec<Redirection> {
        let dylib = state.dylib(self.handle.dylib);
        let names = |unit: &UnitId| {
            let definitions = &state.units[*unit].source.interface().definitions;
            definitions.iter().map(|definition| definition.name)
        };
        let new: IdSet<NameId> = self.into.iter().flat_map(names).collect();
        let is_left = |name: &NameId| {
            let entry = dylib.defined(*name);
            let contested = entry.is_some_and(|(_, entry)| entry.contested);
            contested && !new.contains(name) && dylib.stubs.contains_key(name)
        };
        let in_force = self.out.iter();
        let in_force = in_force.flat_map(|unit| state.names_in_force(*unit));
        let left: IdSet<NameId> = in_force.filter(is_left).collect();
        if left.is_empty() {
            return Vec::new();
        }
        let out: IdSet<UnitId> = self.out.iter().copied().collect();
        let others = dylib.units.values().filter(|unit| !out.contains(*unit));
        let found: IdSet<NameId> = others
            .flat_map(names)
            .filter(|it| left.contains(it))
            .collect();
        let behind = |name| Behind::InForce(self.handle.dylib, name);
        let found = found.into_iter();
        found
            .filter_map(|name| self.redirection(state, name, behind(name)))
            .collect()
    }

    /// The stub of a function, if it has one.
    fn redirection(&self, state: &State, name: NameId, behind: Behind) -> Option<Redirection> {
        let (set, index) = state.stub_of(self.handle.dylib, name)?;
        Some(Redirection { set, index, behind })
    }

    /// Whether the old version is as it was, and nothing of it is being linked.
    fn look(&self, state: &State) -> Result<Option<Again>, LinkError> {
        let current = state.trackers.get(&self.old).filter(|it| !it.removed);
        let Some(current) = current else {
            return Err(LinkError::Removed {
                what: format!("tracker {}", self.handle.id.0),
            });
        };
        if current.units != self.out {
            return Ok(Some(Again::Anew));
        }
        for unit in &self.out {
            match state.units[*unit].state {
                UnitState::InBatch(batch) => return Ok(Some(Again::Wait(batch))),
                UnitState::Ready if !self.linked.contains(unit) => return Ok(Some(Again::Anew)),
                UnitState::Ready | UnitState::NeverSearched => {}
            }
        }
        Ok(None)
    }

    /// Waits until a batch has ended, however it does.
    fn wait_for_end(&self, batch: BatchKey) {
        let session = &self.handle.session;
        // Whoever needs it hears how it ended.
        let _ = session.wait_for(batch, |then| {
            let mut state = session.state.lock();
            let Some(batch) = state.batches.get_mut(&batch) else {
                drop(state);
                return then(Ok(Vec::new()));
            };
            let guard = Arc::new(NameGuard::new(&session.names));
            let query = Arc::new(Query::new(Vec::new(), then, guard));
            query.wait_for_one_more();
            batch.queries.push(query);
        });
    }

    fn succeed(&self) -> Replaced {
        let session = &self.handle.session;
        let mut deferred = DeferredCalls::default();
        let mut state = session.state.lock();
        state.succeed(self.handle.id, self.old, self.new, &mut deferred);
        drop(state);
        deferred.run(session);
        Replaced {
            session: session.clone(),
            tracker: self.old,
        }
    }

    /// Nothing of the attempt stays.
    fn undo(&self) {
        let session = &self.handle.session;
        let mut deferred = DeferredCalls::default();
        {
            let mut state = session.state.lock();
            if let Some(tracker) = state.trackers.get_mut(&self.new) {
                tracker.replacement.stubs = None;
            }
            state.forget_stubs(self.handle.dylib, &self.into);
            state.remove_tracker(self.new, &mut deferred);
        }
        deferred.run(session);
    }
}

impl Inner {
    /// Starts something that answers `then`, and does the work that a batch needs until it has.
    fn wait_for(
        self: &Arc<Self>,
        batch: BatchKey,
        start: impl FnOnce(Then),
    ) -> Result<(), LinkError> {
        let slot: Arc<Mutex<Option<_>>> = Arc::default();
        let (filled, waker) = (slot.clone(), self.clone());
        start(Box::new(move |outcome| {
            *filled.lock() = Some(outcome);
            waker.wake_waiting();
        }));
        self.work_until(batch, || slot.lock().take())?;
        Ok(())
    }
}

fn clash_error(
    session: &Inner,
    state: &State,
    (unit, clashes): &(UnitId, Vec<Clash>),
) -> LinkError {
    clash::error(session, state, &state.unit_name(*unit), clashes)
}
