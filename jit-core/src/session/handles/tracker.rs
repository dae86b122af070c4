//! Trackers: what can be removed as one.
//!
//! **Removing.** Names go at once: definitions are forgotten, definitions that had lost to them come
//! back into force, lazy names they had replaced are lazy again. Code that is linked already keeps to what
//! it was linked with. Links in
//! flight that contain its units fail with [`LinkError::Removed`].
//!
//! Memory goes when nobody needs it: no [`crate::session::CodeGuard`] of it lives, and no code that is still
//! loaded refers to it. References are known per tracker, from resolution. So removing code that
//! others use is safe: its memory outlives its names until the last user is removed too. Cycles of
//! removed trackers go together.
//!
//! What code has left to be called later goes with it: exit handlers that lead into it run before its
//! memory is given back. Destructors of thread-locals are for their threads to run; until they have,
//! the memory stays.

use std::sync::Arc;

use crate::batch::{DylibId, TrackerId, UnitId};
use crate::error::LinkError;
use crate::name::NameId;

use crate::session::Dylib;
use crate::session::Inner;
use crate::session::batches::deferred::{Effects, Garbage, Leaving};
use crate::session::tables::ids::{IdMap, IdSet};
use crate::session::tables::state::{Exits, State, TrackerState};
use crate::session::tables::symbol_table::{Forgotten, SymbolTable};
use crate::session::tables::unit::{Source, Unit, UnitState};

/// A handle to a part of a dylib that can be removed. Dropping the handle removes nothing.
#[derive(Clone)]
pub struct Tracker {
    pub(in crate::session) session: Arc<Inner>,
    pub(in crate::session) dylib: DylibId,
    pub(in crate::session) id: TrackerId,
}

/// What became of the memory of a removed tracker.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Removal {
    /// It was given back.
    Released,
    /// It is given back when its last user is gone.
    Deferred {
        /// Number of [`crate::session::CodeGuard`]s that keep it.
        guards: u32,
        /// Objects of other trackers whose code refers to it: the first one of each tracker, at most
        /// eight.
        used_by: Vec<String>,
        /// Destructors of its thread-locals that other threads will run when they end. Its memory is
        /// given back at the next removal after that.
        thread_destructors: u64,
    },
}

impl Tracker {
    /// The session's name for it.
    #[must_use]
    pub fn id(&self) -> TrackerId {
        self.id
    }

    /// The dylib it is a part of.
    #[must_use]
    pub fn dylib(&self) -> Dylib {
        Dylib {
            session: self.session.clone(),
            id: self.dylib,
        }
    }

    /// Removes everything that was added through it, once its exit handlers have run. Removing it
    /// again does nothing, unless its memory can go now.
    ///
    /// # Errors
    /// When memory cannot be given back or an undo fails; its names are gone all the same.
    pub fn remove(&self) -> Result<Removal, LinkError> {
        let mut effects = Effects::of_removal();
        self.session
            .state
            .lock()
            .remove_tracker(self.id, &mut effects);
        let released = effects.release(&self.session);
        let removal = self.session.state.lock().removal(self.id);
        effects.run(&self.session);
        released?;
        Ok(removal)
    }
}

impl std::fmt::Debug for Tracker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Tracker").field(&self.id.0).finish()
    }
}

impl State {
    pub(in crate::session) fn remove_tracker(&mut self, id: TrackerId, effects: &mut Effects) {
        self.ask_again(effects);
        let tracker = match self.trackers.get_mut(&id) {
            Some(tracker) if !tracker.removed => tracker,
            _ => return,
        };
        tracker.removed = true;
        let dylib = tracker.dylib;
        let units = std::mem::take(&mut tracker.units);
        let providers = std::mem::take(&mut tracker.providers);
        let state = self.dylib_mut(dylib);
        state.trackers.remove(&id);
        if state.default_tracker == Some(id) {
            state.default_tracker = None;
        }
        for rank in providers {
            state.remove_provider(rank, effects);
        }
        let mut forgotten = Forgotten::default();
        let mut in_flight = Vec::new();
        for unit in units {
            self.forget_unit(unit, &mut forgotten);
            match self.units[unit].state {
                UnitState::InBatch(batch) => in_flight.push(batch),
                _ => effects.garbage.push(Garbage::Unit(self.units.free(unit))),
            }
        }
        self.repair(dylib, &forgotten);
        let error = LinkError::Removed {
            what: format!("tracker {} of dylib \"{}\"", id.0, self.dylib(dylib).name),
        };
        for batch in in_flight {
            if self.doom(batch, &error) {
                self.fail(batch, &error, effects);
            }
        }
        self.release_if_unused(id, effects);
    }

    /// Removes everything that was added to a dylib. Returns what it was added through.
    pub(in crate::session) fn remove_all(
        &mut self,
        dylib: DylibId,
        effects: &mut Effects,
    ) -> Vec<TrackerId> {
        let trackers: Vec<TrackerId> = self.dylib(dylib).trackers.iter().copied().collect();
        for tracker in &trackers {
            self.remove_tracker(*tracker, effects);
        }
        let generators = self.dylib_mut(dylib).generators.drain(..);
        effects.garbage.extend(generators.map(Garbage::Generator));
        trackers
    }

    /// What became of the memory of several removed trackers.
    pub(in crate::session) fn removal_of(&self, trackers: &[TrackerId]) -> Removal {
        let deferred: Vec<&TrackerState> = trackers
            .iter()
            .filter_map(|id| self.trackers.get(id))
            .collect();
        if deferred.is_empty() {
            return Removal::Released;
        }
        let others = deferred.iter().flat_map(|tracker| &tracker.dependents);
        let others: IdMap<TrackerId, &Arc<str>> = others
            .filter(|(id, _)| !trackers.contains(id))
            .map(|(id, user)| (*id, user))
            .collect();
        Removal::Deferred {
            guards: deferred.iter().map(|tracker| tracker.guards).sum(),
            used_by: others
                .iter()
                .take(8)
                .map(|(id, user)| self.describe_user(*id, user))
                .collect(),
            thread_destructors: deferred.iter().map(|tracker| tracker.exits.pending()).sum(),
        }
    }

    /// What became of a removed tracker's memory.
    fn removal(&self, id: TrackerId) -> Removal {
        let Some(tracker) = self.trackers.get(&id) else {
            return Removal::Released;
        };
        let used_by = tracker.dependents.iter().take(8);
        Removal::Deferred {
            guards: tracker.guards,
            used_by: used_by
                .map(|(t, user)| self.describe_user(*t, user))
                .collect(),
            thread_destructors: tracker.exits.pending(),
        }
    }

    fn describe_user(&self, tracker: TrackerId, user: &str) -> String {
        match self.trackers.get(&tracker) {
            Some(tracker) if tracker.removed => format!("{user} (removed)"),
            _ => user.to_owned(),
        }
    }

    /// Takes a unit out of its dylib, and notes what has to be repaired.
    fn forget_unit(&mut self, id: UnitId, forgotten: &mut Forgotten) {
        let unit = &self.units[id];
        let dylib = self.dylibs.get_mut(unit.dylib);
        dylib.units.remove(&unit.rank);
        dylib.initializers.remove(&unit.rank);
        if let Some((archive, member)) = unit.pulled
            && let Some(archive) = dylib.archives.get_mut(&archive)
        {
            archive.members.remove(&member);
        }
        let more = dylib.table.forget(&self.units, id);
        forgotten.contested |= more.contested;
        forgotten.over_lazy.extend(more.over_lazy);
        forgotten.places.extend(more.places);
    }

    /// Puts definitions back into force that had lost to forgotten ones. Costs a pass over the dylib's
    /// units if any had.
    pub(in crate::session) fn repair(&mut self, dylib: DylibId, forgotten: &Forgotten) {
        let state = self.dylibs.get_mut(dylib);
        if forgotten.contested {
            for id in state.units.values() {
                let unit = &self.units[*id];
                let lost = !unit.lost.is_empty() || !unit.lost_groups.is_empty();
                if !lost || unit.lost_strong {
                    continue;
                }
                match unit.source {
                    Source::Object(_) if unit.state == UnitState::Ready => {
                        take_over(&mut state.table, &mut self.units[*id], *id, forgotten);
                    }
                    Source::Object(_) if unit.state != UnitState::NeverSearched => {}
                    _ => {
                        state.table.merge(&mut self.units, *id, None);
                    }
                }
            }
        }
        state.restore_lazy(&forgotten.over_lazy);
    }

    /// A client's unit gets its names back from the object it had produced, whose link failed.
    pub(in crate::session) fn take_back(
        &mut self,
        object: UnitId,
        client: UnitId,
        effects: &mut Effects,
    ) {
        let (dylib, tracker) = (self.units[object].dylib, self.units[object].tracker);
        let mut forgotten = Forgotten::default();
        self.forget_unit(object, &mut forgotten);
        if let Some(tracker) = self.trackers.get_mut(&tracker)
            && let Some(at) = tracker.units.iter().rposition(|u| *u == object)
        {
            tracker.units.swap_remove(at);
        }
        effects.garbage.push(Garbage::Unit(self.units.free(object)));
        let state = self.dylibs.get_mut(dylib);
        state.table.merge(&mut self.units, client, None);
        self.repair(dylib, &forgotten);
    }

    /// Gives back the memory of `id` and of what only it used, if all were removed and nobody uses
    /// them.
    pub(in crate::session) fn release_if_unused(&mut self, id: TrackerId, effects: &mut Effects) {
        let mut candidates = vec![id];
        while let Some(id) = candidates.pop() {
            let unused = self.unused_with(id).unwrap_or_default();
            if self.ask_whether_they_can_leave(&unused, effects) {
                continue;
            }
            for unused in unused {
                let Some(tracker) = self.trackers.remove(&unused) else {
                    continue;
                };
                effects.releases.extend(tracker.allocations);
                self.tracker_is_gone(tracker.dylib, effects);
                for dependency in tracker.depends_on {
                    if let Some(dependency) = self.trackers.get_mut(&dependency) {
                        dependency.dependents.remove(&unused);
                    }
                    candidates.push(dependency);
                }
            }
        }
    }

    /// Arranges for trackers to be asked what their code has left to be called; false if all were.
    fn ask_whether_they_can_leave(&mut self, unused: &[TrackerId], effects: &mut Effects) -> bool {
        let mut any = false;
        for id in unused {
            let Some(tracker) = self.trackers.get_mut(id) else {
                continue;
            };
            if tracker.exits == Exits::Unknown && !tracker.allocations.is_empty() {
                tracker.exits = Exits::Asking;
                effects.leaving.push(tracker.leaving(*id));
                any = true;
            }
        }
        any
    }

    /// Asks those again whose code had calls left.
    fn ask_again(&mut self, effects: &mut Effects) {
        for id in std::mem::take(&mut self.waiting_for_threads) {
            if let Some(tracker) = self.trackers.get_mut(&id) {
                tracker.exits = Exits::Asking;
                effects.leaving.push(tracker.leaving(id));
            }
        }
    }

    /// A tracker's code has so many calls left.
    pub(in crate::session) fn has_left(
        &mut self,
        id: TrackerId,
        pending: u64,
        effects: &mut Effects,
    ) {
        let Some(tracker) = self.trackers.get_mut(&id) else {
            return;
        };
        if pending > 0 {
            tracker.exits = Exits::Pending(pending);
            self.waiting_for_threads.push(id);
            return;
        }
        tracker.exits = Exits::Done;
        self.release_if_unused(id, effects);
    }

    /// Trackers whose code threads will still call, and all that it refers to.
    pub(in crate::session) fn called_by_threads(&self) -> IdSet<TrackerId> {
        let mut reached: IdSet<TrackerId> = self.waiting_for_threads.iter().copied().collect();
        let mut all = self.waiting_for_threads.clone();
        while let Some(id) = all.pop() {
            if let Some(tracker) = self.trackers.get(&id) {
                all.extend(tracker.depends_on.iter().filter(|d| reached.insert(**d)));
            }
        }
        reached
    }

    /// The tracker and all that refer to it, if each was removed and is not kept by anything else.
    fn unused_with(&self, id: TrackerId) -> Option<Vec<TrackerId>> {
        let mut reached: IdSet<TrackerId> = IdSet::default();
        reached.insert(id);
        let mut all = vec![id];
        let mut at = 0;
        while let Some(id) = all.get(at) {
            at += 1;
            let tracker = self.trackers.get(id)?;
            let called = matches!(tracker.exits, Exits::Asking | Exits::Pending(_));
            if !tracker.removed || tracker.guards > 0 || tracker.busy > 0 || called {
                return None;
            }
            let dependents = tracker.dependents.keys();
            all.extend(dependents.filter(|d| reached.insert(**d)));
        }
        Some(all)
    }

    /// Names an object of a clash, for messages.
    pub(in crate::session) fn unit_name(&self, id: UnitId) -> String {
        self.units[id].source.name()
    }

    /// The names a unit has in force.
    pub(in crate::session) fn names_in_force(&self, id: UnitId) -> Vec<NameId> {
        let unit = &self.units[id];
        let table = &self.dylib(unit.dylib).table;
        let ours = |name: &NameId| table.get(*name).and_then(|e| e.unit()) == Some(id);
        let names = unit.source.interface().definitions.iter().map(|d| d.name);
        names.filter(ours).collect()
    }
}

/// Brings lost definitions of a linked unit into force that nothing defines any more: its own, where they
/// are in memory; else those that it lost to, which it uses and so keeps (members of groups of inline
/// functions).
fn take_over(table: &mut SymbolTable, unit: &mut Unit, id: UnitId, forgotten: &Forgotten) {
    let source = unit.source.clone();
    let definitions = &source.interface().definitions;
    let addresses = &mut unit.addresses;
    unit.lost.retain(|index| {
        let definition = definitions.get(*index as usize);
        let place = addresses.get_mut(*index as usize);
        let Some((definition, place)) = definition.zip(place) else {
            return true;
        };
        let used = forgotten.places.get(&definition.name).copied();
        let addr = if place.is_null() { used } else { Some(*place) };
        let Some(addr) = addr.filter(|addr| !addr.is_null()) else {
            return true;
        };
        let is_taken = table.take_over(id, *index, definition);
        if is_taken {
            *place = addr;
        }
        !is_taken
    });
}

impl TrackerState {
    fn leaving(&self, tracker: TrackerId) -> Leaving {
        let memory = self.allocations.iter();
        Leaving {
            tracker,
            dylib: self.dylib,
            order: memory.clone().map(|(order, _)| *order).max().unwrap_or(0),
            ranges: memory
                .flat_map(|(_, memory)| memory.ranges().iter().copied())
                .collect(),
        }
    }
}
