//! Which trackers' code the stubs of a tracker lead to: they keep it, as references do.
//!
//! References of code are for ever. Those of stubs change: so they are counted.

use std::sync::Arc;

use crate::ids::{DylibId, TrackerId, UnitId};
use crate::name::NameId;
use crate::session::batches::deferred::DeferredCalls;
use crate::stubs::{Bound, Redirection, StubSet};

use crate::session::tables::state::State;

impl State {
    /// The stubs of a set are in this object from now on.
    pub(in crate::session) fn keep_stubs(&mut self, unit: UnitId, set: Arc<StubSet>) {
        // A set has one object.
        let _ = set.unit.set(unit);
        if let Some(tracker) = self.trackers.get_mut(&set.tracker) {
            tracker.stubs.insert(unit, set);
        }
    }

    /// Whether a unit is an object of stubs.
    pub(in crate::session) fn is_stubs(&self, unit: UnitId) -> bool {
        let tracker = self.trackers.get(&self.units[unit].tracker);
        tracker.is_some_and(|tracker| tracker.stubs.contains_key(&unit))
    }

    /// The stub of a function of a lazy dylib, if it has one.
    pub(in crate::session) fn stub_of(
        &self,
        dylib: DylibId,
        name: NameId,
    ) -> Option<(Arc<StubSet>, u32)> {
        let dylib = self.dylib(dylib);
        let stub = dylib.stubs.get(&name)?;
        let tracker = self.trackers.get(&self.units[stub.unit].tracker)?;
        let (_, place) = dylib.defined(stub.name)?;
        Some((tracker.stubs.get(&stub.unit)?.clone(), place.index))
    }

    /// Whether code may not be there any more.
    pub(in crate::session) fn is_gone(&self, code: &Bound) -> bool {
        let tracker = code.tracker.map(|tracker| self.trackers.get(&tracker));
        tracker.is_some_and(|tracker| tracker.is_none_or(|tracker| tracker.removed))
    }

    /// A stub of a set leads to code.
    pub(in crate::session) fn bind(&mut self, set: &StubSet, code: Bound) {
        let from = set.tracker;
        let (Some(to), Some(unit)) = (code.tracker.filter(|to| *to != from), set.unit.get()) else {
            return;
        };
        self.note_dependent(from, to, *unit);
        if let Some(tracker) = self.trackers.get_mut(&from) {
            *tracker.bound.entry(to).or_default() += 1;
        }
    }

    /// Stubs are about to lead to code.
    pub(in crate::session) fn bind_all(&mut self, redirections: &[Redirection]) {
        for redirection in redirections {
            if let Some(code) = redirection.behind.code() {
                self.bind(&redirection.set, code);
            }
        }
    }

    /// A stub of `from` does not lead to this code any more.
    pub(in crate::session) fn unbind(
        &mut self,
        from: TrackerId,
        code: Bound,
        deferred: &mut DeferredCalls,
    ) {
        let Some(to) = code.tracker.filter(|to| *to != from) else {
            return;
        };
        let Some(tracker) = self.trackers.get_mut(&from) else {
            return;
        };
        let Some(count) = tracker.bound.get_mut(&to) else {
            return;
        };
        *count -= 1;
        if *count > 0 {
            return;
        }
        tracker.bound.remove(&to);
        if tracker.depends_on.contains(&to) {
            return;
        }
        if let Some(target) = self.trackers.get_mut(&to) {
            target.dependents.remove(&from);
        }
        self.release_if_unused(to, deferred);
    }
}
