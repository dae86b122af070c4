//! The moment in which objects take the place of others, under the session's lock.

use crate::ids::{DylibId, TrackerId, UnitId};
use crate::name::NameId;
use crate::session::batches::deferred::DeferredCalls;
use crate::session::tables::state::{DylibStub, State};
use crate::session::tables::symbol_table::{Clash, Entry, Forgotten};
use crate::session::tables::unit::{Source, UnitState};

/// Stubs that were taken from their names.
#[derive(Default)]
pub(in crate::session) struct ForgottenStubs(Vec<(NameId, DylibStub, Entry)>);

impl State {
    /// Takes units out of a dylib, and puts others in their place, without anything in between: every name
    /// that both define is defined all the time. The units stay.
    ///
    /// # Errors
    /// The unit that does not go with what the dylib has, and why; all is as before then.
    pub(in crate::session) fn swap_units(
        &mut self,
        dylib: DylibId,
        out: &[UnitId],
        into: &[UnitId],
    ) -> Result<(), (UnitId, Vec<Clash>)> {
        let mut forgotten = Forgotten::default();
        for unit in out {
            self.forget_unit(*unit, &mut forgotten);
        }
        if let Err(clash) = self.enter_units(dylib, into) {
            for unit in into {
                self.forget_unit(*unit, &mut Forgotten::default());
            }
            // They were there together before.
            let _ = self.enter_units(dylib, out);
            return Err(clash);
        }
        self.repair(dylib, &forgotten);
        Ok(())
    }

    /// Adds units to a dylib's list and table.
    fn enter_units(
        &mut self,
        dylib: DylibId,
        units: &[UnitId],
    ) -> Result<(), (UnitId, Vec<Clash>)> {
        let states: Vec<UnitState> = units.iter().map(|unit| self.units[*unit].state).collect();
        // Among each other, and for the rules of linkers, they are not linked yet.
        for unit in units {
            self.units[*unit].state = UnitState::NeverSearched;
        }
        let mut outcome = Ok(());
        for (id, unit_state) in units.iter().zip(&states) {
            let dylib = self.dylibs.get_mut(dylib);
            let unit = &self.units[*id];
            dylib.units.insert(unit.rank, *id);
            let starts = unit.source.interface().has_initializers && !unit.is_pulled();
            if starts && *unit_state == UnitState::NeverSearched {
                dylib.initializers.insert(unit.rank, *id);
            }
            let merged = dylib.table.merge(&mut self.units, *id, None);
            if !merged.clashes.is_empty() {
                outcome = Err((*id, merged.clashes));
                break;
            }
        }
        for (unit, unit_state) in units.iter().zip(states) {
            self.units[*unit].state = unit_state;
        }
        outcome
    }

    /// Stubs of names that units define, and nothing in the dylib does any more, are no stubs of these names any
    /// more: whoever defines such a name later gets one of his own. Code that refers to them keeps them.
    pub(in crate::session) fn forget_stubs(
        &mut self,
        dylib: DylibId,
        units: &[UnitId],
    ) -> ForgottenStubs {
        let dylib = self.dylibs.get_mut(dylib);
        let mut forgotten = ForgottenStubs::default();
        for unit in units {
            for definition in &self.units[*unit].source.interface().definitions {
                let name = definition.name;
                if dylib.defined(name).is_none()
                    && let Some(stub) = dylib.stubs.remove(&name)
                    && let Some(entry) = dylib.table.forget_name(stub.unit, stub.name)
                {
                    forgotten.0.push((name, stub, entry));
                }
            }
        }
        forgotten
    }

    /// Takes back what [`Self::forget_stubs`] has done.
    pub(in crate::session) fn remember_stubs(&mut self, dylib: DylibId, forgotten: ForgottenStubs) {
        let dylib = self.dylibs.get_mut(dylib);
        for (name, stub, entry) in forgotten.0 {
            dylib.stubs.insert(name, stub);
            dylib.table.remember_name(stub.name, entry);
        }
    }

    /// A tracker's objects were replaced by those of `new`: clients' handles mean the new one, and what is
    /// left of the old one may still run.
    pub(in crate::session) fn succeed(
        &mut self,
        handle: TrackerId,
        old: TrackerId,
        new: TrackerId,
        deferred: &mut DeferredCalls,
    ) {
        let Some(state) = self.trackers.get_mut(&old) else {
            return;
        };
        state.removed = true;
        state.guards += 1;
        let units = std::mem::take(&mut state.units);
        let mut replacement = std::mem::take(&mut state.replacement);
        state.replacement.may_run = true;
        let dylib = state.dylib;
        replacement.handle = Some(handle);
        replacement
            .earlier
            .retain(|id| self.trackers.contains_key(id));
        replacement.earlier.push(old);
        if let Some(state) = self.trackers.get_mut(&new) {
            state.replacement = replacement;
        }
        self.generations.insert(handle, new);
        self.dylib_mut(dylib).trackers.remove(&old);
        for unit in units {
            self.free_unit(unit, deferred);
        }
    }

    /// Nobody runs a replaced version any more: its memory goes when nothing else uses it.
    pub(in crate::session) fn retire(&mut self, id: TrackerId, deferred: &mut DeferredCalls) {
        if let Some(tracker) = self.trackers.get_mut(&id)
            && std::mem::take(&mut tracker.replacement.may_run)
        {
            tracker.guards -= 1;
            self.release_if_unused(id, deferred);
        }
    }

    /// The objects of a tracker, if it has nothing else that would have to stay.
    pub(in crate::session) fn replaceable_objects(
        &self,
        tracker: TrackerId,
    ) -> Result<Vec<UnitId>, &'static str> {
        let Some(state) = self.trackers.get(&tracker).filter(|it| !it.removed) else {
            return Err("it was removed");
        };
        if !self.dylib(state.dylib).is_replaceable {
            return Err("its dylib does not allow that (`allow_replacement`)");
        }
        let is_object = |unit: &UnitId| {
            let unit = &self.units[*unit];
            matches!(unit.source, Source::Object(_)) && !unit.is_pulled() && unit.replaces.is_none()
        };
        let all_objects = state.units.iter().all(is_object);
        if !state.providers.is_empty() || !all_objects || !state.stubs.is_empty() {
            return Err(
                "it has more than objects: what is to stay goes into the dylib through another tracker",
            );
        }
        Ok(state.units.clone())
    }
}
