//! The part of a wave that is done under the session's lock: one hash probe per name and dylib.

use crate::batch::{DylibId, UnitId};
use crate::error::LinkError;
use crate::name::NameId;
use crate::object::{Scope, SymbolKind};

use crate::session::lookup::resolve::{Answer, Need, Resolver, Stage, Want};
use crate::session::tables::ids::BatchKey;
use crate::session::tables::state::{Phase, State, Work};
use crate::session::tables::unit::{Source, UnitState};

/// Reexports that may follow each other. A longer chain is taken for a cycle.
const REEXPORT_HOPS_MAX: u32 = 64;

/// What a wave has to ask without the lock.
#[derive(Default)]
pub(in crate::session) struct Asked {
    /// Names to ask a dylib's libraries for, up to a rank, and the linker.
    pub(in crate::session) natives: Vec<(Want, DylibId, u32)>,
    /// Names to ask a dylib's generators for.
    pub(in crate::session) generators: Vec<(Want, DylibId)>,
    /// Names that archives' members define: dylib, archive's rank, member.
    pub(in crate::session) members: Vec<(Want, DylibId, u32, u32)>,
}

/// What the search for one name came to under the lock.
enum Step {
    Settled,
    Natives(DylibId, u32),
    Generators(DylibId),
    Member(DylibId, u32, u32),
    Nowhere,
}

impl Resolver<'_> {
    /// Searches for all names that are wanted.
    pub(in crate::session) fn probe(&mut self) -> Asked {
        let mut asked = Asked::default();
        let session = self.session;
        let mut state = session.state.lock();
        for mut want in std::mem::take(&mut self.wants) {
            match self.step(&mut state, &mut want) {
                Step::Settled => {}
                Step::Natives(dylib, limit) => asked.natives.push((want, dylib, limit)),
                Step::Generators(dylib) => asked.generators.push((want, dylib)),
                Step::Member(dylib, rank, member) => {
                    asked.members.push((want, dylib, rank, member));
                }
                Step::Nowhere => self.not_found(&want),
            }
        }
        asked
    }

    fn not_found(&mut self, want: &Want) {
        let slot = &mut self.slots[want.slot as usize];
        if !matches!(slot.answer, Answer::Null) {
            slot.answer = Answer::NotYet;
        }
    }

    /// Continues the search for a name until it is found, or something outside must be asked.
    fn step(&mut self, state: &mut State, want: &mut Want) -> Step {
        loop {
            let Some(&at) = state.dylib(want.search).link_order.get(want.at as usize) else {
                return Step::Nowhere;
            };
            let dylib = state.dylib(at);
            let mut lazy = None;
            if let Some(&entry) = self.entry(state, at, want.name) {
                match entry.unit() {
                    Some(unit) if entry.scope < Scope::Hidden || want.sees_hidden(at) => {
                        match self.found(state, want, unit, entry.index) {
                            Some(step) => return step,
                            // A reexport: the search goes on elsewhere.
                            None => continue,
                        }
                    }
                    Some(_) => {}
                    None => lazy = Some((entry.owner, entry.index)),
                }
            }
            let slot = &self.slots[want.slot as usize];
            // A weak reference is no reason to load an archive's member.
            let lazy = lazy.filter(|_| slot.need > Need::Weak);
            let limit = lazy.map_or(u32::MAX, |(rank, _)| rank);
            match want.stage {
                Stage::Table => {
                    want.stage = Stage::Asked;
                    let linker_may = slot.by_object && want.at == 0 && lazy.is_none();
                    if linker_may || dylib.natives.iter().any(|native| native.rank < limit) {
                        return Step::Natives(at, limit);
                    }
                }
                Stage::Asked => {
                    want.stage = Stage::Generated;
                    if let Some((rank, member)) = lazy {
                        return Step::Member(at, rank, member);
                    }
                    if !dylib.generators.is_empty() {
                        return Step::Generators(at);
                    }
                }
                Stage::Generated => {
                    want.at += 1;
                    // The last look at a name asks nobody again.
                    if !matches!(slot.answer, Answer::Null) {
                        want.stage = Stage::Table;
                    }
                }
            }
        }
    }

    /// A definition was found. `None` if it stands for another name.
    fn found(
        &mut self,
        state: &mut State,
        want: &mut Want,
        id: UnitId,
        index: u32,
    ) -> Option<Step> {
        let unit = &state.units[id];
        let dylib = unit.dylib;
        if let Source::Reexport(_, targets) = &unit.source {
            let (target_dylib, target) = *targets.get(index as usize)?;
            return self.follow(state, want, target_dylib, target);
        }
        let name = unit.definition(index).map_or(want.name, |d| d.name);
        match unit.state {
            UnitState::NeverSearched => self.claim_found(state, want, id, index),
            UnitState::InBatch(batch) if batch == self.batch && self.is_object(state, id) => {
                self.answer(want, Answer::Mine { unit: id, index });
            }
            UnitState::InBatch(batch) => {
                request(state, batch, name);
                state.add_batch_dependency(self.batch, batch);
                self.answer(want, Answer::Other { dylib, name });
            }
            UnitState::Ready => self.found_ready(state, want, id, index),
        }
        Some(Step::Settled)
    }

    fn is_object(&self, state: &State, id: UnitId) -> bool {
        matches!(state.units[id].source, Source::Object(_))
    }

    fn found_ready(&mut self, state: &State, want: &Want, id: UnitId, index: u32) {
        let unit = &state.units[id];
        let dylib = unit.dylib;
        let name = unit.definition(index).map_or(want.name, |d| d.name);
        let absent = state.address(id, index).is_none_or(|addr| addr.is_null());
        if absent && self.is_object(state, id) {
            // The batch that linked the unit dropped the section as unreachable.
            self.not_found(want);
        } else {
            self.answer(want, Answer::Other { dylib, name });
        }
    }

    fn claim_found(&mut self, state: &mut State, want: &Want, id: UnitId, index: u32) {
        let unit = &state.units[id];
        let dylib = unit.dylib;
        let name = unit.definition(index).map_or(want.name, |d| d.name);
        if self.waits_for_its_call(state, want, id, index) {
            self.answer(want, Answer::Deferred { dylib, name });
            return;
        }
        if let Source::Object(_) = unit.source {
            self.claim(state, id);
            self.answer(want, Answer::Mine { unit: id, index });
            return;
        }
        // A client's unit is a batch of its own: how long it takes is the client's business.
        let batch = state.add_batch(Phase::Forming);
        state.claim(batch, id);
        if let Some(state) = state.batches.get_mut(&batch) {
            state.client = Some((id, vec![name]));
            state.work = Some(Work::Materialize);
        }
        self.clients.push(batch);
        state.add_batch_dependency(self.batch, batch);
        self.answer(want, Answer::Other { dylib, name });
    }

    /// Whether a definition is a function that is linked when it is called, and whose references need not
    /// be followed now.
    fn waits_for_its_call(&self, state: &State, want: &Want, id: UnitId, index: u32) -> bool {
        let unit = &state.units[id];
        let is_client = matches!(unit.source, Source::Client(..));
        let of_client = !self.slots[want.slot as usize].by_object;
        !self.is_whole
            && state.dylib(unit.dylib).is_lazy
            && (unit.waits || is_client)
            && !(self.bodies && of_client)
            && unit
                .definition(index)
                .is_some_and(|definition| definition.kind == SymbolKind::Function)
    }

    fn follow(
        &mut self,
        state: &State,
        want: &mut Want,
        dylib: DylibId,
        name: NameId,
    ) -> Option<Step> {
        want.hops += 1;
        if want.hops > REEXPORT_HOPS_MAX {
            let slot = &self.slots[want.slot as usize];
            self.errors.push(LinkError::ReexportCycle {
                name: self.session.names.readable(slot.name),
                dylib: state.dylib(slot.dylib).name.clone(),
            });
            return Some(Step::Settled);
        }
        want.at_home &= dylib == want.search;
        want.search = dylib;
        want.name = name;
        want.at = 0;
        want.stage = Stage::Table;
        None
    }
}

impl Want {
    /// Whether hidden definitions of a dylib are visible: only to its own objects.
    fn sees_hidden(&self, dylib: DylibId) -> bool {
        self.at_home && self.search == dylib
    }
}

/// Notes that a name of a client's unit was asked for, for materializers that produce by need.
fn request(state: &mut State, batch: BatchKey, name: NameId) {
    if let Some(batch) = state.batches.get_mut(&batch)
        && let Some((_, requested)) = &mut batch.client
        && !requested.contains(&name)
    {
        requested.push(name);
    }
}
