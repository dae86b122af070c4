//! The session's side of a link: answers to the linker's questions, and its results.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use orc_shared::ExecutorAddr;

use crate::batch::{BatchHost, BatchUnit, DylibId, Resolution, TrackerId, UnitAddresses, UnitId};
use crate::error::LinkError;
use crate::executor::Finalized;
use crate::graph::SymbolId;
use crate::name::{NameGuard, NameId};
use crate::object::{ObjectFile, SymbolKind};
use crate::statics::Statics;

use crate::session::batches::deferred::DeferredCalls;
use crate::session::batches::query::Countdown;
use crate::session::handles::definitions::Inner;
use crate::session::lookup::program_part::ProgramPart;
use crate::session::lookup::resolve::{Answer, Resolver, Slot, SlotNumbers};
use crate::session::tables::ids::{BatchKey, IdHash, IdMap};
use crate::session::tables::state::{Phase, State};
use crate::session::tables::unit::{Source, UnitState};

/// What the linker sees of the session while it links one batch. Names are answered from what
/// resolution found, without the session's lock.
pub(in crate::session) struct Host {
    session: Arc<Inner>,
    batch: BatchKey,
    /// The batch's units, in link order.
    objects: Vec<(UnitId, Arc<dyn ObjectFile>)>,
    positions: IdMap<UnitId, u32>,
    numbers: SlotNumbers,
    slots: Vec<Slot>,
    extras: Vec<Resolution>,
    /// Common symbols that are libraries' variables.
    of_libraries: Option<ProgramPart>,
    /// Whether the linker has said how it ended.
    finished: AtomicBool,
    /// For as long as the linker has graphs with names.
    _guard: Arc<NameGuard>,
}

impl Host {
    pub(in crate::session) fn new(
        session: Arc<Inner>,
        mut resolver: Resolver<'_>,
        units: &[BatchUnit],
    ) -> Self {
        let mut positions = IdMap::with_capacity_and_hasher(units.len(), IdHash);
        positions.extend((0u32..).zip(units).map(|(at, unit)| (unit.id, at)));
        let objects = units.iter().map(|unit| (unit.id, Arc::clone(&unit.object)));
        Self {
            session,
            batch: resolver.batch,
            objects: objects.collect(),
            positions,
            numbers: resolver.take_numbers(),
            slots: std::mem::take(&mut resolver.slots),
            extras: std::mem::take(&mut resolver.extras),
            of_libraries: resolver.program.take(),
            finished: AtomicBool::new(false),
            _guard: resolver.guard.clone(),
        }
    }

    fn in_batch(&self, unit: UnitId, index: u32) -> Option<Resolution> {
        let at = *self.positions.get(&unit)?;
        let (_, object) = self.objects.get(at as usize)?;
        let interface = object.interface();
        let symbol = interface.definitions.get(index as usize)?.symbol;
        Some(Resolution::InBatch {
            unit: at,
            symbol: SymbolId(symbol),
        })
    }

    /// Does what a report of the linker comes to.
    fn change(&self, change: impl FnOnce(&mut State, &mut DeferredCalls)) {
        let mut deferred = DeferredCalls::default();
        change(&mut self.session.state.lock(), &mut deferred);
        deferred.run(&self.session);
    }
}

impl BatchHost for Host {
    fn resolve(&self, dylib: DylibId, name: NameId) -> Resolution {
        let slot = self.numbers.get(dylib, name);
        let slot = slot.and_then(|slot| self.slots.get(slot));
        if slot.is_some_and(|slot| slot.hidden && matches!(slot.answer, Answer::Null)) {
            // Null for good: whoever completes the answers is not to look any further.
            return Resolution::Address {
                addr: ExecutorAddr::NULL,
                kind: SymbolKind::None,
            };
        }
        let answer = match slot.map(|slot| slot.answer) {
            Some(Answer::Mine { unit, index }) => self.in_batch(unit, index),
            Some(Answer::Extra(extra)) => self.extras.get(extra as usize).cloned(),
            Some(_) => None,
            // A name that no object refers to as undefined: one that it defines itself.
            None => self.own_definition(dylib, name),
        };
        answer.unwrap_or(Resolution::Null)
    }

    fn own_definition(&self, dylib: DylibId, name: NameId) -> Option<Resolution> {
        let given_up = |program: &ProgramPart| program.has_given_up(dylib, name);
        if self.of_libraries.as_ref().is_some_and(given_up) {
            return None;
        }
        let state = self.session.state.lock();
        let name = state.own_name(dylib, name);
        let (id, entry) = state.dylib(dylib).defined(name)?;
        if self.positions.contains_key(&id) {
            return self.in_batch(id, entry.index);
        }
        let unit = &state.units[id];
        let kind = unit
            .definition(entry.index)
            .map_or(SymbolKind::None, |d| d.kind);
        let addr = state.address(id, entry.index);
        match (unit.state, addr) {
            (UnitState::NeverSearched, _) => None,
            (_, Some(addr)) => Some(Resolution::Address { addr, kind }),
            (_, None) => Some(Resolution::Pending {
                unit: id,
                name,
                dylib,
                kind,
            }),
        }
    }

    fn other_names(&self, dylib: DylibId) -> Vec<NameId> {
        let state = self.session.state.lock();
        let units = state.dylib(dylib).units.values();
        let reexports = units.filter_map(|id| match &state.units[*id].source {
            Source::Reexport(interface, targets) => Some((interface, targets)),
            _ => None,
        });
        let pairs = reexports.flat_map(|(it, targets)| it.definitions.iter().zip(&**targets));
        let inside = pairs.filter(|(_, (to, _))| *to == dylib);
        inside.map(|(other, _)| other.name).collect()
    }

    fn resolved(&self, addresses: Vec<UnitAddresses>) {
        for ((_, object), addresses) in self.objects.iter().zip(&addresses) {
            object.placed(addresses);
        }
        let units = self.objects.iter().map(|(unit, _)| *unit);
        self.change(|state, deferred| state.resolved(self.batch, units.zip(addresses), deferred));
    }

    fn statics(&self, statics: Vec<Option<Arc<Statics>>>) {
        let mut state = self.session.state.lock();
        for ((unit, _), statics) in self.objects.iter().zip(statics) {
            state.units[*unit].statics = statics;
        }
    }

    fn when_dependencies_resolved(&self, then: Box<dyn FnOnce(Result<(), LinkError>) + Send>) {
        let outcome = {
            let mut state = self.session.state.lock();
            match state.unresolved(self.batch) {
                Err(error) => Err(error),
                Ok(waits) if waits.is_empty() => Ok(()),
                Ok(waits) => {
                    let countdown = Countdown::new(waits.len(), then);
                    for key in waits {
                        if let Some(batch) = state.batches.get_mut(&key) {
                            batch.on_resolved.push(countdown.clone());
                        }
                    }
                    return;
                }
            }
        };
        then(outcome);
    }

    fn pending_address(&self, dylib: DylibId, name: NameId) -> Option<ExecutorAddr> {
        let state = self.session.state.lock();
        let (unit, entry) = state.dylib(dylib).defined(name)?;
        state.address(unit, entry.index)
    }

    fn in_place(&self) {
        self.change(|state, _| {
            if let Some(batch) = state.batches.get_mut(&self.batch) {
                batch.in_place = true;
            }
        });
        // First calls need not wait any longer.
        self.session.wake_waiting();
    }

    fn emitted(&self, allocations: Vec<(TrackerId, Box<dyn Finalized>)>) {
        self.finished.store(true, Ordering::Release);
        self.change(|state, deferred| {
            state.emitted(&self.session, self.batch, allocations, deferred);
        });
    }

    fn failed(&self, error: LinkError) {
        self.finished.store(true, Ordering::Release);
        self.change(|state, deferred| state.fail_first_cause(self.batch, error, deferred));
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if !self.finished.load(Ordering::Acquire) {
            self.session.dropped(self.batch, |panicked| {
                LinkError::Internal(match panicked {
                    Some(panicked) => format!("the linker {panicked}"),
                    None => "the linker ended without a result".to_owned(),
                })
            });
        }
    }
}

/// Names that stand for names, at most.
const OTHER_NAMES_MAX: u32 = 16;

impl State {
    /// The name that `name` is another name of, in the same dylib; itself if it is none.
    fn own_name(&self, dylib: DylibId, mut name: NameId) -> NameId {
        for _ in 0..OTHER_NAMES_MAX {
            let Some((id, entry)) = self.dylib(dylib).defined(name) else {
                break;
            };
            let Source::Reexport(_, targets) = &self.units[id].source else {
                break;
            };
            match targets.get(entry.index as usize) {
                Some((to, target)) if *to == dylib => name = *target,
                _ => break,
            }
        }
        name
    }

    /// Batches whose addresses a batch still waits for, or why it has to fail.
    fn unresolved(&self, key: BatchKey) -> Result<Vec<BatchKey>, LinkError> {
        let Some(batch) = self.batches.get(&key) else {
            return Ok(Vec::new());
        };
        if let Some(error) = &batch.doomed {
            return Err(error.clone());
        }
        let unresolved = |key: &&BatchKey| {
            let batch = self.batches.get(*key);
            batch.is_some_and(|batch| batch.phase < Phase::Resolved)
        };
        Ok(batch
            .depends_on
            .iter()
            .filter(unresolved)
            .copied()
            .collect())
    }
}
