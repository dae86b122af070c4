//! How batches move on: resolved, emitted, ready, or failed.
//!
//! A batch is *ready* when it and everything it reaches through dependencies is emitted. Cycles
//! between batches are possible (an object refers to a client's unit, whose code refers back), so
//! readiness is decided by a search: if it meets a batch that is not emitted, it stops and notes
//! that batch (`blocked_on`), so that the next search that comes by stops at once.

use orc_shared::ExecutorAddr;
use std::sync::Arc;

use crate::batch::{TrackerId, UnitAddresses, UnitId};
use crate::error::LinkError;
use crate::executor::Finalized;

use crate::session::batches::deferred::DeferredCalls;
use crate::session::handles::definitions::Inner;
use crate::session::tables::ids::{BatchKey, IdSet};
use crate::session::tables::state::{Phase, State};
use crate::session::tables::unit::UnitState;

impl State {
    /// Publishes addresses of a batch's units, and lets links continue that waited for them.
    pub(in crate::session) fn resolved(
        &mut self,
        key: BatchKey,
        addresses: impl IntoIterator<Item = (UnitId, UnitAddresses)>,
        deferred: &mut DeferredCalls,
    ) {
        let Some(batch) = self.batches.get_mut(&key) else {
            return;
        };
        batch.phase = batch.phase.max(Phase::Resolved);
        for (unit, addresses) in addresses {
            self.units[unit].addresses = addresses;
        }
        let waiting = batch.on_resolved.drain(..).map(|waits| (waits, Ok(())));
        deferred.resolved.extend(waiting);
    }

    /// Takes a batch's memory over, and makes ready what is ready now.
    pub(in crate::session) fn emitted(
        &mut self,
        session: &Arc<Inner>,
        key: BatchKey,
        allocations: Vec<(TrackerId, Box<dyn Finalized>)>,
        deferred: &mut DeferredCalls,
    ) {
        self.resolved(key, None, deferred);
        let allocations: Vec<_> = allocations
            .into_iter()
            .map(|(tracker, memory)| (tracker, self.next_allocation(), memory))
            .collect();
        let trackers: Vec<TrackerId> = allocations.iter().map(|(id, ..)| *id).collect();
        self.keep_headers(session, &trackers);
        let Some(batch) = self.batches.get_mut(&key) else {
            // Failed meanwhile; nobody but us has the memory.
            let memory = allocations
                .into_iter()
                .map(|(_, order, memory)| (order, memory));
            deferred.releases.extend(memory);
            return;
        };
        batch.allocations = allocations;
        batch.phase = Phase::Emitted;
        if let Some(error) = batch.doomed.clone() {
            self.fail(key, &error, deferred);
            return;
        }
        let mut next = vec![key];
        while let Some(key) = next.pop() {
            let Some(ready) = self.ready_from(key) else {
                continue;
            };
            self.make_ready(session, &ready, &mut next, deferred);
        }
    }

    /// The header of a dylib, by which the runtime knows it, stays as long as any of its code.
    fn keep_headers(&mut self, session: &Inner, trackers: &[TrackerId]) {
        for id in trackers {
            let dylib = self.trackers.get(id).map(|tracker| tracker.dylib);
            let header = dylib.and_then(|dylib| {
                let name = session.platforms.of(dylib).header_name();
                let name = session.names.find(name.as_bytes())?;
                self.dylib(dylib).defined(name)
            });
            if let Some(unit) = header.map(|(unit, _)| unit) {
                let users = self.trackers.get(id).map(|tracker| &tracker.units);
                let user = users.and_then(|units| units.first()).copied();
                let header = self.units[unit].tracker;
                self.add_tracker_dependency(*id, header, user.unwrap_or(unit));
            }
        }
    }

    /// All batches that `start` reaches, if all are emitted.
    fn ready_from(&mut self, start: BatchKey) -> Option<Vec<BatchKey>> {
        self.batches
            .get(&start)
            .filter(|b| b.phase == Phase::Emitted)?;
        let mut reached: IdSet<BatchKey> = IdSet::default();
        reached.insert(start);
        let mut stack = vec![start];
        let mut order = Vec::new();
        let mut blocker = None;
        'search: while let Some(key) = stack.pop() {
            order.push(key);
            for dependency in &self.batches[&key].depends_on {
                // A batch that is not there any more is ready.
                let Some(batch) = self.batches.get(dependency) else {
                    continue;
                };
                blocker = self.blocker(*dependency, batch.blocked_on);
                if blocker.is_some() {
                    break 'search;
                }
                if reached.insert(*dependency) {
                    stack.push(*dependency);
                }
            }
        }
        if blocker.is_none() {
            return Some(order);
        }
        if let Some(batch) = self.batches.get_mut(&start) {
            batch.blocked_on = blocker;
        }
        None
    }

    /// The batch that keeps `key` from being ready, if that is known.
    fn blocker(&self, key: BatchKey, noted: Option<BatchKey>) -> Option<BatchKey> {
        let unfinished = |key: &BatchKey| {
            let batch = self.batches.get(key);
            batch.is_some_and(|b| b.phase != Phase::Emitted)
        };
        Some(key).filter(unfinished).or(noted.filter(unfinished))
    }

    /// Makes batches ready. Those that refer to them go to `next`.
    fn make_ready(
        &mut self,
        session: &Arc<Inner>,
        ready: &[BatchKey],
        next: &mut Vec<BatchKey>,
        deferred: &mut DeferredCalls,
    ) {
        let mut queries = Vec::new();
        for key in ready {
            let Some(batch) = self.batches.remove(key) else {
                continue;
            };
            for unit in &batch.units {
                self.unit_is_ready(*unit);
            }
            for (tracker, order, memory) in batch.allocations {
                match self.trackers.get_mut(&tracker) {
                    Some(tracker) => tracker.allocations.push((order, memory)),
                    None => deferred.releases.push((order, memory)),
                }
            }
            if let Some((client, _)) = batch.client {
                self.drop_materializer(client, deferred);
            }
            next.extend(batch.dependents);
            queries.extend(batch.queries);
        }
        for query in queries {
            if query.one_is_ready() {
                let outcome = query.collect(session, self);
                deferred.queries.push((query, outcome));
            }
        }
    }

    fn unit_is_ready(&mut self, id: UnitId) {
        let unit = &mut self.units[id];
        unit.state = UnitState::Ready;
        unit.replaces = None;
        if unit.source.interface().has_initializers {
            let dylib = self.dylibs.get_mut(unit.dylib);
            dylib.initializers.remove(&unit.rank);
        }
        if let Some(tracker) = self.trackers.get_mut(&unit.tracker) {
            tracker.busy -= 1;
        }
    }

    /// Fails a batch that nobody works on any more, and with it all emitted ones that refer to it;
    /// those still being linked are marked. Their units can be looked up again.
    pub(in crate::session) fn fail(
        &mut self,
        key: BatchKey,
        error: &LinkError,
        deferred: &mut DeferredCalls,
    ) {
        let mut failing = vec![key];
        while let Some(key) = failing.pop() {
            let Some(batch) = self.batches.remove(&key) else {
                continue;
            };
            for dependency in &batch.depends_on {
                if let Some(dependency) = self.batches.get_mut(dependency) {
                    dependency.dependents.remove(&key);
                }
            }
            let memory = batch.allocations.into_iter();
            deferred
                .releases
                .extend(memory.map(|(_, order, memory)| (order, memory)));
            for unit in batch.units {
                self.roll_back(unit, deferred);
            }
            let failed = |waits| (waits, Err(error.clone()));
            deferred
                .resolved
                .extend(batch.on_resolved.into_iter().map(failed));
            let failed = |query| (query, Err(error.clone()));
            deferred
                .queries
                .extend(batch.queries.into_iter().map(failed));
            for dependent in batch.dependents {
                if self.doom(dependent, error) {
                    failing.push(dependent);
                }
            }
        }
    }

    /// Fails a batch with the reason it was marked with, if it was, else with `error`.
    pub(in crate::session) fn fail_first_cause(
        &mut self,
        key: BatchKey,
        error: LinkError,
        deferred: &mut DeferredCalls,
    ) {
        let marked = self.batches.get(&key).and_then(|b| b.doomed.clone());
        self.fail(key, &marked.unwrap_or(error), deferred);
    }

    /// Marks a batch that will have to fail. True if that can happen now.
    pub(in crate::session) fn doom(&mut self, key: BatchKey, error: &LinkError) -> bool {
        let Some(batch) = self.batches.get_mut(&key) else {
            return false;
        };
        batch.doomed.get_or_insert_with(|| error.clone());
        batch.phase == Phase::Emitted
    }

    /// Returns a unit of a failed batch to where it was before.
    fn roll_back(&mut self, id: UnitId, deferred: &mut DeferredCalls) {
        let unit = &mut self.units[id];
        unit.state = UnitState::NeverSearched;
        unit.addresses = Vec::new();
        unit.statics = None;
        let (tracker, replaces, is_of_batch) = (unit.tracker, unit.replaces, unit.is_of_batch);
        let mut removed = false;
        if let Some(tracker) = self.trackers.get_mut(&tracker) {
            tracker.busy -= 1;
            removed = tracker.removed;
        }
        if removed {
            self.free_unit(id, deferred);
            self.release_if_unused(tracker, deferred);
        } else if let Some(client) = replaces {
            self.take_back(id, client, deferred);
        } else if is_of_batch {
            self.withdraw(id, deferred);
        }
    }

    /// The address of a definition, once its batch is resolved.
    pub(in crate::session) fn address(&self, unit: UnitId, index: u32) -> Option<ExecutorAddr> {
        self.units[unit].addresses.get(index as usize).copied()
    }
}
