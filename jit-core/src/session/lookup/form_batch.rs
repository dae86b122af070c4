//! The end of resolution: what was claimed becomes a batch, and goes to the linker.

use std::sync::Arc;

use crate::batch::{
    Batch, BatchUnit, DylibId, NativeBinding, Replaceable, Resolution, TrackerId, UnitId,
};
use crate::error::LinkError;
use crate::name::NameId;
use crate::object::SymbolKind;

use crate::graph::SymbolId;
use crate::object::{Claims, Definition, Linkage};
use crate::session::batches::batch_host::Host;
use crate::session::batches::deferred::DeferredCalls;
use crate::session::batches::query::{Found, Query, Then};
use crate::session::batches::work::Formed;
use crate::session::handles::definitions::Inner;
use crate::session::lookup::defer::MayWait;
use crate::session::lookup::resolve::{Answer, Resolver};
use crate::session::tables::ids::{BatchKey, IdSet};
use crate::session::tables::state::{DylibStub, Phase, State, Work};
use crate::session::tables::symbol_table::SymbolTable;
use crate::session::tables::unit::{Source, Unit, UnitState};

impl Resolver<'_> {
    /// Makes the batch out of what was claimed and found, or reports why it cannot be.
    pub(in crate::session) fn form(
        mut self,
        binding: NativeBinding,
        roots: Option<Vec<(DylibId, NameId)>>,
        names: &[(DylibId, NameId)],
        then: Option<Then>,
    ) -> Option<Formed> {
        self.settle_libraries();
        let may_wait = match self.errors.is_empty() {
            true => self.who_may_wait(),
            false => MayWait::default(),
        };
        if let Some(error) = self.first_errors() {
            self.give_up(&error, then);
            return None;
        }
        let session = self.session.clone();
        let mut deferred = DeferredCalls::default();
        let mut guard = session.state.lock();
        let units = match self.form_locked(&mut guard, may_wait, names, then) {
            Ok(units) => units,
            Err((error, then)) => {
                drop(guard);
                self.give_up(&error, then);
                return None;
            }
        };
        let clients = std::mem::take(&mut self.clients);
        for client in clients.iter().chain([&self.batch]) {
            if let Some(batch) = guard.batches.get_mut(client) {
                batch.phase = batch.phase.max(Phase::Linking);
            }
        }
        let key = self.batch;
        let has_deferred = self.has_deferred;
        let mut link = None;
        if !units.is_empty() {
            link = Some(key);
            let host = Arc::new(Host::new(session.clone(), self, &units));
            let batch = Box::new(Batch {
                units,
                binding,
                // What waits may refer to anything.
                roots: roots.filter(|_| !has_deferred),
            });
            if let Some(state) = guard.batches.get_mut(&key) {
                state.work = Some(Work::Link(batch, host));
            }
        } else if !guard.is_client_batch(key) {
            // Nothing to link; the lookup still waits for what it refers to.
            guard.emitted(&session, key, Vec::new(), &mut deferred);
        }
        drop(guard);
        deferred.run(&session);
        Some(Formed {
            session,
            link,
            clients,
        })
    }

    fn first_errors(&mut self) -> Option<LinkError> {
        match self.errors.len() {
            0 => self.missing_symbols(),
            1 => self.errors.pop(),
            _ => Some(LinkError::Many(std::mem::take(&mut self.errors).into())),
        }
    }

    /// The part that needs the lock: from here on, dependencies keep what the batch refers to.
    fn form_locked(
        &mut self,
        state: &mut State,
        may_wait: MayWait,
        names: &[(DylibId, NameId)],
        then: Option<Then>,
    ) -> Result<Vec<BatchUnit>, (LinkError, Option<Then>)> {
        let find = |this: &Self, state: &State| -> Vec<Found> {
            let names = names.iter();
            names
                .map(|(d, n)| this.what_was_found(state, *d, *n))
                .collect()
        };
        let bodies = self.bodies.then(|| find(self, state));
        self.defer(state, may_wait);
        let found = bodies.unwrap_or_else(|| find(self, state));
        let query = then.map(|then| Arc::new(Query::new(found, then, self.guard.clone())));
        let doomed = match state.batches.get(&self.batch) {
            Some(batch) => batch.doomed.clone(),
            None => Some(LinkError::Internal("a forming batch vanished".to_owned())),
        };
        let settled = match doomed {
            None => self.settle(state),
            Some(error) => Err(error),
        };
        let definers = settled.map_err(|error| {
            let then = query.as_ref().and_then(|query| query.take_callback());
            (error, then)
        })?;
        self.record_users(state, &definers);
        let units = self.batch_units(state);
        if let Some(query) = query
            && let Some(batch) = state.batches.get_mut(&self.batch)
        {
            query.wait_for_one_more();
            batch.queries.push(query);
        }
        Ok(units)
    }

    /// Says what definitions outside the batch mean now. Returns, per slot, the tracker of its
    /// definition.
    fn settle(&mut self, state: &mut State) -> Result<Vec<Option<TrackerId>>, LinkError> {
        let mut definers = Vec::with_capacity(self.slots.len());
        for slot in &mut self.slots {
            let definer = match slot.answer {
                Answer::Other { dylib, name } => {
                    let (resolution, tracker) =
                        outside_definition(self.session, state, self.batch, dylib, name)?;
                    slot.answer = Answer::Extra(self.extras.len() as u32);
                    self.extras.push(resolution);
                    Some(tracker)
                }
                Answer::Mine { unit, .. } => Some(state.units[unit].tracker),
                Answer::Extra(_)
                | Answer::Deferred { .. }
                | Answer::Open
                | Answer::NotYet
                | Answer::Null => None,
            };
            definers.push(definer);
        }
        Ok(definers)
    }

    /// Records which trackers' code refers to which others', precisely, per reference.
    fn record_users(&self, state: &mut State, definers: &[Option<TrackerId>]) {
        let Some(first) = self.units.first().map(|unit| state.units[*unit].tracker) else {
            return;
        };
        let of_first = |unit: &UnitId| state.units[*unit].tracker == first;
        let mut definitions = definers.iter().flatten();
        if self.units.iter().all(of_first) && definitions.all(|definer| *definer == first) {
            return;
        }
        let mut known = IdSet::default();
        for (user, slots) in self.users() {
            let unit = &state.units[user.unit];
            let tracker = unit.tracker;
            let displaced = self.displaced_since(unit, user.lost);
            for slot in slots.iter().copied().chain(displaced) {
                if let Some(definer) = definers[slot as usize]
                    && definer != tracker
                    && known.insert((tracker, definer))
                {
                    state.add_tracker_dependency(tracker, definer, user.unit);
                }
            }
        }
    }

    /// The slots of a unit's lost definitions, if it has lost any since there were that many.
    pub(in crate::session) fn displaced_since(&self, unit: &Unit, lost: usize) -> Vec<u32> {
        if unit.lost.len() == lost {
            return Vec::new();
        }
        let names = unit.lost.iter().filter_map(|index| unit.definition(*index));
        let slots = names.filter_map(|definition| self.slot_index(unit.dylib, definition.name));
        slots.map(|slot| slot as u32).collect()
    }

    /// The batch's objects in link order, with what is in force of each.
    fn batch_units(&mut self, state: &mut State) -> Vec<BatchUnit> {
        self.wait_for_stubs(state);
        let state = &*state;
        self.units.sort_unstable_by_key(|id| {
            let unit = &state.units[*id];
            (unit.dylib, unit.rank)
        });
        let unit = |id: &UnitId| {
            let unit = &state.units[*id];
            let Source::Object(object) = &unit.source else {
                return None;
            };
            let dylib = state.dylib(unit.dylib);
            let mut claims = claims(unit, &dylib.table);
            if let Some(program) = &self.program {
                program.give_up_commons(unit, &mut claims);
            }
            Some(BatchUnit {
                id: *id,
                dylib: unit.dylib,
                tracker: unit.tracker,
                object: object.clone(),
                claims,
                stubs: self
                    .stubs_of(state, *id)
                    .map(|(symbol, stub)| (SymbolId(symbol), stub.name))
                    .collect(),
                replaceable: self.replaceable(state, *id),
            })
        };
        self.units.iter().filter_map(unit).collect()
    }

    /// Addresses of the stubs of the batch's own functions have to be known, too.
    fn wait_for_stubs(&self, state: &mut State) {
        let mut batches = IdSet::default();
        for unit in &self.units {
            for (_, stub) in self.stubs_of(state, *unit) {
                if let UnitState::InBatch(batch) = state.units[stub.unit].state {
                    batches.insert(batch);
                }
            }
        }
        for batch in batches {
            state.add_batch_dependency(self.batch, batch);
        }
    }

    fn what_was_found(&self, state: &State, dylib: DylibId, name: NameId) -> Found {
        match self.slot(dylib, name).map(|slot| slot.answer) {
            Some(Answer::Mine { unit, index }) => {
                let unit = &state.units[unit];
                Found::Defined {
                    dylib: unit.dylib,
                    name: unit.definition(index).map_or(name, |d| d.name),
                }
            }
            Some(Answer::Other { dylib, name } | Answer::Deferred { dylib, name }) => {
                Found::Defined { dylib, name }
            }
            Some(Answer::Extra(extra)) => match self.extras.get(extra as usize) {
                Some(Resolution::Native(native)) => Found::Native(native.clone()),
                _ => Found::Nothing,
            },
            _ => Found::Nothing,
        }
    }

    /// The symbols of a unit's functions in force that have stubs.
    fn stubs_of<'s>(
        &'s self,
        state: &'s State,
        id: UnitId,
    ) -> impl Iterator<Item = (u32, &'s DylibStub)> {
        let unit = &state.units[id];
        let dylib = state.dylib(unit.dylib);
        let definitions: &[Definition] = match dylib.stubs.is_empty() {
            true => &[],
            false => &unit.source.interface().definitions,
        };
        definitions.iter().filter_map(move |definition| {
            let stub = dylib.stubs.get(&definition.name)?;
            let (definer, _) = self.defined(state, unit.dylib, definition.name)?;
            (definer == id).then_some((definition.symbol, stub))
        })
    }

    /// What a unit's link has to do so that the unit can be replaced.
    fn replaceable(&self, state: &State, id: UnitId) -> Option<Replaceable> {
        let unit = &state.units[id];
        if !state.dylib(unit.dylib).is_replaceable || state.is_stubs(id) || self.is_whole {
            return None;
        }
        let running = self.overlay.as_ref();
        let running = running.and_then(|overlay| overlay.running(id));
        Some(Replaceable { running })
    }
}

/// What a definition outside the batch means: its address if that is known, and its tracker.
fn outside_definition(
    session: &Inner,
    state: &mut State,
    batch: BatchKey,
    dylib: DylibId,
    name: NameId,
) -> Result<(Resolution, TrackerId), LinkError> {
    let gone = || LinkError::Removed {
        what: format!("the definition of {}", session.names.readable(name)),
    };
    let (id, entry) = state.dylib(dylib).defined(name).ok_or_else(gone)?;
    let index = entry.index;
    let unit = &state.units[id];
    let (tracker, unit_state) = (unit.tracker, unit.state);
    let kind = unit.definition(index).map_or(SymbolKind::None, |d| d.kind);
    let resolved = match unit_state {
        UnitState::NeverSearched => return Err(gone()),
        UnitState::Ready => true,
        UnitState::InBatch(other) => {
            state.add_batch_dependency(batch, other);
            let batch = state.batches.get(&other);
            batch.is_none_or(|batch| batch.phase >= Phase::Resolved)
        }
    };
    let resolution = if resolved {
        let addr = state.address(id, index).ok_or_else(gone)?;
        Resolution::Address { addr, kind }
    } else {
        Resolution::Pending {
            unit: id,
            name,
            dylib,
            kind,
        }
    };
    Ok((resolution, tracker))
}

impl State {
    /// Whether a batch is a client's unit, which ends when the client says so.
    fn is_client_batch(&self, batch: BatchKey) -> bool {
        self.batches.get(&batch).is_some_and(|b| b.client.is_some())
    }
}

/// What the linker has to know of lost and common definitions.
fn claims(unit: &Unit, table: &SymbolTable) -> Claims {
    let definitions = &unit.source.interface().definitions;
    let symbol = |index: &u32| definitions.get(*index as usize).map(|d| d.symbol);
    let mut lost_symbols: Vec<u32> = unit.lost.iter().filter_map(symbol).collect();
    lost_symbols.sort_unstable();
    let mut commons = Vec::new();
    if unit.has_commons {
        commons.extend(definitions.iter().filter_map(|d| common(d, table)));
        commons.retain(|(symbol, ..)| lost_symbols.binary_search(symbol).is_err());
        commons.sort_unstable();
    }
    Claims {
        lost_groups: unit.lost_groups.clone(),
        lost_symbols,
        commons,
    }
}

fn common(definition: &Definition, table: &SymbolTable) -> Option<(u32, u64, u64)> {
    let Linkage::Common { size, align } = definition.linkage else {
        return None;
    };
    let (size, align) = table.common_size(definition.name).unwrap_or((size, align));
    Some((definition.symbol, size, align))
}
