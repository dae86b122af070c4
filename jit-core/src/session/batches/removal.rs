//! What is removed, what comes back into force then, and when memory goes.
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

use crate::error::LinkError;
use crate::ids::{DylibId, TrackerId, UnitId};
use crate::name::NameId;
use crate::session::batches::deferred::{DeferredCalls, Garbage, Leaving};
use crate::session::handles::tracker::Removal;
use crate::session::tables::ids::{IdMap, IdSet};
use crate::session::tables::state::{DylibState, Exits, State, TrackerState};
use crate::session::tables::symbol_table::{Forgotten, SymbolTable};
use crate::session::tables::unit::{Source, Unit, UnitState};

impl State {
    /// Takes a dylib out of which everything was removed, also out of others' link orders.
    pub(in crate::session) fn close_dylib(&mut self, id: DylibId, deferred: &mut DeferredCalls) {
        let Some(dylib) = self.dylibs.remove(id) else {
            return;
        };
        for other in dylib.linked_by.iter().filter(|other| **other != id) {
            let other = self.dylib_mut(*other);
            if other.link_order.contains(&id) {
                let rest = other.link_order.iter().filter(|linked| **linked != id);
                other.link_order = rest.copied().collect();
            }
        }
        match dylib.tracker_count {
            0 => deferred.gone.push(id),
            count => _ = self.closing.insert(id, count),
        }
    }

    /// A tracker of a dylib is gone, with its memory.
    pub(in crate::session) fn tracker_is_gone(
        &mut self,
        dylib: DylibId,
        deferred: &mut DeferredCalls,
    ) {
        if self.dylibs.has(dylib) {
            self.dylib_mut(dylib).tracker_count -= 1;
        } else if let Some(count) = self.closing.get_mut(&dylib) {
            *count -= 1;
            if *count == 0 {
                self.closing.remove(&dylib);
                deferred.gone.push(dylib);
            }
        }
    }

    pub(in crate::session) fn remove_tracker(
        &mut self,
        id: TrackerId,
        deferred: &mut DeferredCalls,
    ) {
        self.ask_again(deferred);
        let tracker = match self.trackers.get_mut(&id) {
            Some(tracker) if !tracker.removed => tracker,
            _ => return,
        };
        tracker.removed = true;
        tracker.stubs.values().for_each(|stubs| stubs.remove());
        let dylib = tracker.dylib;
        let units = std::mem::take(&mut tracker.units);
        let providers = std::mem::take(&mut tracker.providers);
        let replacement = std::mem::take(&mut tracker.replacement);
        let handle = replacement.handle.unwrap_or(id);
        tracker.replacement.handle = replacement.handle;
        let state = self.dylib_mut(dylib);
        state.trackers.remove(&id);
        if state.default_tracker == Some(handle) {
            state.default_tracker = None;
        }
        for rank in providers {
            state.remove_provider(rank, deferred);
        }
        let mut forgotten = Forgotten::default();
        let mut in_flight = Vec::new();
        for unit in units {
            self.forget_unit(unit, &mut forgotten);
            match self.units[unit].state {
                UnitState::InBatch(batch) => in_flight.push(batch),
                _ => self.free_unit(unit, deferred),
            }
        }
        self.repair(dylib, &forgotten);
        let error = LinkError::Removed {
            what: format!("tracker {} of dylib \"{}\"", id.0, self.dylib(dylib).name),
        };
        for batch in in_flight {
            if self.doom(batch, &error) {
                self.fail(batch, &error, deferred);
            }
        }
        self.release_if_unused(id, deferred);
        if let Some(stubs) = replacement.stubs {
            self.remove_tracker(stubs, deferred);
        }
        for earlier in replacement.earlier {
            self.retire(earlier, deferred);
        }
    }

    /// Removes everything that was added to a dylib. Returns what it was added through.
    pub(in crate::session) fn remove_all(
        &mut self,
        dylib: DylibId,
        deferred: &mut DeferredCalls,
    ) -> Vec<TrackerId> {
        let trackers: Vec<TrackerId> = self.dylib(dylib).trackers.iter().copied().collect();
        for tracker in &trackers {
            self.remove_tracker(*tracker, deferred);
        }
        let generators = self.dylib_mut(dylib).generators.drain(..);
        deferred.garbage.extend(generators.map(Garbage::Generator));
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
    pub(in crate::session) fn removal(&self, id: TrackerId) -> Removal {
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

    /// Forgets a unit that nothing names any more.
    pub(in crate::session) fn free_unit(&mut self, id: UnitId, deferred: &mut DeferredCalls) {
        deferred.garbage.push(Garbage::Unit(self.units.free(id)));
        let materializer = self.materializers.remove(&id);
        deferred
            .garbage
            .extend(materializer.map(Garbage::Materializer));
    }

    /// Takes a unit out of its dylib, and notes what has to be repaired.
    pub(in crate::session) fn forget_unit(&mut self, id: UnitId, forgotten: &mut Forgotten) {
        let unit = &self.units[id];
        let dylib = self.dylibs.get_mut(unit.dylib);
        dylib.units.remove(&unit.rank);
        dylib.initializers.remove(&unit.rank);
        let tracker = self.trackers.get(&unit.tracker);
        if let Some(stubs) = tracker.and_then(|tracker| tracker.stubs.get(&id)) {
            for function in &stubs.functions {
                // The function may have got another one since.
                if dylib
                    .stubs
                    .get(function)
                    .is_some_and(|stub| stub.unit == id)
                {
                    dylib.stubs.remove(function);
                }
            }
        }
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
            // Of several that a newer one had shadowed, the newest comes back.
            let mut order: Vec<&UnitId> = state.units.values().collect();
            if state.table.newest_wins {
                order.reverse();
            }
            for id in order {
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
        deferred: &mut DeferredCalls,
    ) {
        let dylib = self.units[object].dylib;
        let forgotten = self.withdraw(object, deferred);
        let state = self.dylibs.get_mut(dylib);
        state.table.merge(&mut self.units, client, None);
        self.repair(dylib, &forgotten);
    }

    /// Takes a unit out of its dylib and its tracker.
    pub(in crate::session) fn withdraw(
        &mut self,
        id: UnitId,
        deferred: &mut DeferredCalls,
    ) -> Forgotten {
        let tracker = self.units[id].tracker;
        let mut forgotten = Forgotten::default();
        self.forget_unit(id, &mut forgotten);
        if let Some(tracker) = self.trackers.get_mut(&tracker) {
            if let Some(at) = tracker.units.iter().rposition(|unit| *unit == id) {
                tracker.units.swap_remove(at);
            }
            tracker.stubs.remove(&id);
        }
        self.free_unit(id, deferred);
        forgotten
    }

    /// Gives back the memory of `id` and of what only it used, if all were removed and nobody uses
    /// them.
    pub(in crate::session) fn release_if_unused(
        &mut self,
        id: TrackerId,
        deferred: &mut DeferredCalls,
    ) {
        let mut candidates = vec![id];
        while let Some(id) = candidates.pop() {
            let unused = self.unused_with(id).unwrap_or_default();
            if self.ask_whether_they_can_leave(&unused, deferred) {
                continue;
            }
            for unused in unused {
                let Some(tracker) = self.trackers.remove(&unused) else {
                    continue;
                };
                deferred.releases.extend(tracker.allocations);
                if let Some(handle) = tracker.replacement.handle {
                    self.generations.remove(&handle);
                }
                self.tracker_is_gone(tracker.dylib, deferred);
                let led_to = tracker.bound.into_keys();
                for dependency in tracker.depends_on.into_iter().chain(led_to) {
                    if let Some(dependency) = self.trackers.get_mut(&dependency) {
                        dependency.dependents.remove(&unused);
                    }
                    candidates.push(dependency);
                }
            }
        }
    }

    /// Arranges for trackers to be asked what their code has left to be called; false if all were.
    fn ask_whether_they_can_leave(
        &mut self,
        unused: &[TrackerId],
        deferred: &mut DeferredCalls,
    ) -> bool {
        let mut any = false;
        for id in unused {
            let Some(tracker) = self.trackers.get_mut(id) else {
                continue;
            };
            if tracker.exits == Exits::Unknown && !tracker.allocations.is_empty() {
                tracker.exits = Exits::Asking;
                deferred.leaving.push(tracker.leaving(*id));
                any = true;
            }
        }
        any
    }

    /// Asks those again whose code had calls left.
    fn ask_again(&mut self, deferred: &mut DeferredCalls) {
        for id in std::mem::take(&mut self.waiting_for_threads) {
            if let Some(tracker) = self.trackers.get_mut(&id) {
                tracker.exits = Exits::Asking;
                deferred.leaving.push(tracker.leaving(id));
            }
        }
    }

    /// A tracker's code has so many calls left.
    pub(in crate::session) fn has_left(
        &mut self,
        id: TrackerId,
        pending: u64,
        deferred: &mut DeferredCalls,
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
        self.release_if_unused(id, deferred);
    }

    /// Trackers whose code threads will still call, and all that it refers to.
    pub(in crate::session) fn called_by_threads(&self) -> IdSet<TrackerId> {
        let mut reached: IdSet<TrackerId> = self.waiting_for_threads.iter().copied().collect();
        let mut all = self.waiting_for_threads.clone();
        while let Some(id) = all.pop() {
            if let Some(tracker) = self.trackers.get(&id) {
                let needed = tracker.depends_on.iter().chain(tracker.bound.keys());
                all.extend(needed.filter(|d| reached.insert(**d)));
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

impl DylibState {
    /// Removes an archive or a library. Names that a later archive also offers become its.
    pub(in crate::session) fn remove_provider(&mut self, rank: u32, deferred: &mut DeferredCalls) {
        if let Some(archive) = self.archives.remove(&rank) {
            for (name, _) in archive.objects.index() {
                self.table.withdraw_lazy(*name, rank, None);
            }
            self.lazy_index = None;
            for (rank, other) in &self.archives {
                for (name, member) in other.objects.index() {
                    self.table.offer_lazy(*name, *rank, *member);
                }
            }
            deferred.garbage.push(Garbage::Archive(archive.objects));
        }
        if let Some(at) = self.natives.iter().position(|native| native.rank == rank) {
            let native = Arc::make_mut(&mut self.natives).remove(at);
            deferred.garbage.push(Garbage::Library(native.library));
        }
    }
}
