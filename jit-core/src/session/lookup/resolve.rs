//! Resolution in waves: from the names that a lookup asks for to everything that is linked with
//! them.
//!
//! Each wave takes the names that are wanted and not yet settled, and
//! 1. under the session's lock, probes the tables along the link order ([`crate::session::lookup::probe`]): a
//!    definition claims its unit for this batch (or makes the batch wait for the one that has it);
//! 2. without the lock, asks libraries, the linker and generators about the rest, and loads
//!    archive members in parallel ([`crate::session::lookup::ask`]);
//! 3. takes the references of all units claimed in 1 as the next wave.
//!
//! Every name is settled once per dylib it is referred to from, however many objects refer to it.
//! When no name is left, archives are searched for members that define common symbols with a value
//! ([`crate::session::lookup::commons`]). Then all missing ones are known and reported at once; otherwise the batch is
//! formed ([`crate::session::lookup::form_batch`]).

use std::sync::Arc;

use crate::batch::{DylibId, NativeBinding, ProgramLink, Resolution, UnitId};
use crate::error::LinkError;
use crate::name::{NameGuard, NameId};
use crate::name_pages::NamePages;
use crate::object::Linkage;

use crate::session::batches::deferred::DeferredCalls;
use crate::session::batches::query::Then;
use crate::session::batches::work::Formed;
use crate::session::batches::work::WithinBatch;
use crate::session::handles::definitions::Inner;
use crate::session::lookup::defer::must_be_whole;
use crate::session::lookup::overlay::Overlay;
use crate::session::lookup::program_part::ProgramPart;
use crate::session::tables::ids::{BatchKey, IdMap, IdSet};
use crate::session::tables::state::{Phase, State};
use crate::session::tables::unit::{Source, UnitState};

/// Which units a lookup claims beside those that define its names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::session) enum Extra {
    Nothing,
    /// Objects with initializers that were added to the dylib.
    Initializers,
    /// All objects that were added to the dylib, archives' members excepted.
    Objects,
}

/// How much a name is needed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(in crate::session) enum Need {
    /// If it is defined by what is there, it is used.
    Weak,
    /// Archives are searched for it, too.
    Wanted,
    /// It must be found.
    Strong,
}

impl Need {
    /// How much a name is needed that may be missing if it is `weak`.
    pub(in crate::session) fn strong_unless(weak: bool) -> Self {
        if weak { Self::Weak } else { Self::Strong }
    }
}

/// What a lookup asks for.
pub(in crate::session) struct Request {
    pub(in crate::session) dylib: DylibId,
    pub(in crate::session) names: Vec<NameId>,
    /// How much the names are needed.
    pub(in crate::session) need: Need,
    /// Further names, which archives are searched for, and which may be missing.
    pub(in crate::session) wanted: Vec<NameId>,
    pub(in crate::session) extra: Extra,
    pub(in crate::session) program: Option<ProgramLink>,
    /// Names to keep, with all they reach; `None` keeps everything.
    pub(in crate::session) roots: Option<Vec<NameId>>,
    /// Whether references may stay undefined: their address is then null.
    pub(in crate::session) undefined_allowed: bool,
    /// Whether the names mean functions themselves, where stubs stand for them.
    pub(in crate::session) bodies: bool,
    /// Names of the dylib that do not wait for a first call, if they are part of the lookup.
    pub(in crate::session) ahead: Vec<NameId>,
    /// Whether code is called that needs it: what it refers to may run, if it is in memory.
    pub(in crate::session) of_call: bool,
    /// How many calls ahead it is made; 0 if somebody needs it now.
    pub(in crate::session) depth: u32,
}

/// What a name was found to mean.
#[derive(Clone, Copy, Debug)]
pub(in crate::session) enum Answer {
    /// Still wanted.
    Open,
    /// Nothing that may be used defines it so far.
    NotYet,
    /// A definition of a unit that this batch claimed. The place never changes while the batch
    /// forms.
    Mine { unit: UnitId, index: u32 },
    /// A definition that is linked already or by another batch, under its own name: the unit may be
    /// removed any time.
    Other { dylib: DylibId, name: NameId },
    /// A function that waits for its first call: a stub is going to stand for it.
    Deferred { dylib: DylibId, name: NameId },
    /// Everything else: an index into [`Resolver::extras`].
    Extra(u32),
    /// Looked at for the last time, and undefined. An error if something needs it.
    Null,
}

/// A name as referred to from a dylib.
pub(in crate::session) struct Slot {
    pub(in crate::session) dylib: DylibId,
    pub(in crate::session) name: NameId,
    pub(in crate::session) answer: Answer,
    /// How much whatever needs it most does.
    pub(in crate::session) need: Need,
    /// Whether an object refers to it, not only the client.
    pub(in crate::session) by_object: bool,
    /// Whether an object refers to it as hidden: a library's definition is not meant.
    pub(in crate::session) hidden: bool,
}

/// How far the search for a name has come in one dylib.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::session) enum Stage {
    /// Its table is next.
    Table,
    /// Libraries and the linker were asked.
    Asked,
    /// An archive's member was loaded, or generators were asked.
    Generated,
}

/// A name that is searched for.
#[derive(Clone, Copy, Debug)]
pub(in crate::session) struct Want {
    pub(in crate::session) slot: u32,
    /// The dylib whose link order is searched; a reexport moves it.
    pub(in crate::session) search: DylibId,
    pub(in crate::session) name: NameId,
    /// Place in the link order.
    pub(in crate::session) at: u32,
    pub(in crate::session) stage: Stage,
    /// Reexports passed through.
    pub(in crate::session) hops: u32,
    /// Whether none of them led to another dylib.
    pub(in crate::session) at_home: bool,
}

/// One lookup's resolution.
pub(in crate::session) struct Resolver<'a> {
    pub(in crate::session) session: &'a Arc<Inner>,
    pub(in crate::session) batch: BatchKey,
    /// Names mean what they mean until everything that the lookup leads to is done.
    pub(in crate::session) guard: Arc<NameGuard>,
    /// Objects claimed so far.
    pub(in crate::session) units: Vec<UnitId>,
    /// Of these, the ones whose references are not wanted yet.
    fresh: Vec<Fresh>,
    /// The slots of all names that claimed units refer to, unit by unit.
    referred: Vec<u32>,
    users: Vec<User>,
    /// Common symbols of claimed units that archives have not been searched for.
    pub(in crate::session) commons: Vec<(DylibId, NameId)>,
    /// Batches of clients' units that this lookup started.
    pub(in crate::session) clients: Vec<BatchKey>,
    numbers: SlotNumbers,
    pub(in crate::session) slots: Vec<Slot>,
    pub(in crate::session) extras: Vec<Resolution>,
    pub(in crate::session) wants: Vec<Want>,
    /// Number of units when names without a definition were last looked at.
    reopened_at: usize,
    pub(in crate::session) errors: Vec<LinkError>,
    pub(in crate::session) undefined_allowed: bool,
    /// The slots of the names that the client asked for.
    pub(in crate::session) asked_for: Vec<u32>,
    /// The slots of all names that no object asked for, repeatedly perhaps.
    pub(in crate::session) client_slots: Vec<u32>,
    /// Whether those mean functions themselves, where stubs stand for them.
    pub(in crate::session) bodies: bool,
    /// The definitions of these do not wait for a first call.
    pub(in crate::session) ahead: Vec<(DylibId, NameId)>,
    /// How many calls ahead the lookup is made.
    pub(in crate::session) depth: u32,
    /// Whether it cannot be linked in parts, so that nothing waits for its first call.
    pub(in crate::session) is_whole: bool,
    /// Whether something of it waits for its first call.
    pub(in crate::session) has_deferred: bool,
    /// What a client has produced, which is wanted now.
    pub(in crate::session) produced: Option<UnitId>,
    /// What concerns the libraries of a program, if one is linked.
    pub(in crate::session) program: Option<ProgramPart>,
    /// What names mean to objects that are about to replace others, if it is for such.
    pub(in crate::session) overlay: Option<Overlay>,
}

/// A claimed unit whose references are wanted.
pub(in crate::session) struct User {
    pub(in crate::session) unit: UnitId,
    /// How many of its definitions had lost by then.
    pub(in crate::session) lost: usize,
    /// The end of its slots in [`Resolver::referred`].
    end: usize,
}

impl User {
    /// A user whose slots end at `end`.
    pub(in crate::session) fn new(unit: UnitId, lost: usize, end: usize) -> Self {
        Self { unit, lost, end }
    }
}

/// A unit that was just claimed.
struct Fresh {
    unit: UnitId,
    dylib: DylibId,
    source: Source,
    /// Its lost definitions.
    lost: Vec<u32>,
    has_commons: bool,
}

/// The number of the slot of each name that a dylib refers to.
#[derive(Default)]
pub(in crate::session) struct SlotNumbers(IdMap<DylibId, NamePages<u32>>);

impl SlotNumbers {
    /// The slot's number, if the name was wanted.
    pub(in crate::session) fn get(&self, dylib: DylibId, name: NameId) -> Option<usize> {
        let number = self.0.get(&dylib)?.get(name)?;
        Some(*number as usize)
    }

    /// The slot's number; `next`, if the name is new.
    fn get_or_insert(&mut self, dylib: DylibId, name: NameId, next: u32) -> u32 {
        let place = self.0.entry(dylib).or_default().place(name);
        *place.get_or_insert(next)
    }
}

impl<'a> Resolver<'a> {
    /// Starts a batch.
    pub(in crate::session) fn new(session: &'a Arc<Inner>) -> Self {
        let batch = session.state.lock().add_batch(Phase::Forming);
        Self::of_batch(session, batch)
    }

    /// Continues a batch that exists: a client's unit has produced an object.
    pub(in crate::session) fn of_batch(session: &'a Arc<Inner>, batch: BatchKey) -> Self {
        Self {
            session,
            batch,
            guard: Arc::new(NameGuard::new(&session.names)),
            units: Vec::new(),
            fresh: Vec::new(),
            referred: Vec::new(),
            users: Vec::new(),
            commons: Vec::new(),
            clients: Vec::new(),
            numbers: SlotNumbers::default(),
            slots: Vec::new(),
            extras: Vec::new(),
            wants: Vec::new(),
            reopened_at: 0,
            errors: Vec::new(),
            undefined_allowed: false,
            asked_for: Vec::new(),
            client_slots: Vec::new(),
            bodies: false,
            ahead: Vec::new(),
            depth: 0,
            is_whole: false,
            has_deferred: false,
            produced: None,
            program: None,
            overlay: None,
        }
    }

    /// Resolves everything a lookup asks for. On failure nothing stays claimed, `then` has been
    /// called, and nothing is returned.
    pub(in crate::session) fn lookup(mut self, request: Request, then: Then) -> Option<Formed> {
        self.undefined_allowed = request.undefined_allowed;
        self.bodies = request.bodies;
        self.depth = request.depth;
        let ahead = request.ahead.iter();
        self.ahead = ahead.map(|name| (request.dylib, *name)).collect();
        self.is_whole = request.program.as_ref().is_some_and(must_be_whole);
        let is_there = {
            let mut state = self.session.state.lock();
            let dylib = state.dylib_mut(request.dylib);
            if dylib.is_lazy {
                // What waits is linked as it would have been linked now.
                dylib.undefined_allowed |= request.undefined_allowed;
                self.undefined_allowed |= dylib.undefined_allowed;
            }
            state.dylibs.has(request.dylib)
        };
        if !is_there {
            self.errors.push(LinkError::Removed {
                what: "the dylib".to_owned(),
            });
        }
        self.program = request
            .program
            .as_ref()
            .map(|_| ProgramPart::new(request.dylib));
        for name in &request.names {
            let slot = self.want(request.dylib, *name, request.need, false);
            self.asked_for.push(slot);
        }
        for name in &request.wanted {
            self.want(request.dylib, *name, Need::Wanted, false);
        }
        self.claim_extra(&request);
        self.resolve();
        let binding = match request.program {
            Some(program) => NativeBinding::Program(program),
            None => NativeBinding::Immediate,
        };
        let dylib = request.dylib;
        let roots = request
            .roots
            .map(|names| names.into_iter().map(|name| (dylib, name)).collect());
        let names: Vec<_> = request.names.iter().map(|name| (dylib, *name)).collect();
        self.form(binding, roots, &names, Some(then))
    }

    /// Resolves the references of an object that was already claimed for the batch.
    pub(in crate::session) fn link_claimed(mut self, unit: UnitId) -> Option<Formed> {
        self.produced = Some(unit);
        {
            let state = self.session.state.lock();
            self.take_claimed(&state, unit);
        }
        self.resolve();
        self.form(NativeBinding::Immediate, None, &[], None)
    }

    fn claim_extra(&mut self, request: &Request) {
        let session = self.session;
        let mut guard = session.state.lock();
        let state = &mut *guard;
        let dylib = state.dylib(request.dylib);
        let units: Vec<UnitId> = match request.extra {
            Extra::Nothing => return,
            Extra::Initializers => dylib.initializers.values().copied().collect(),
            Extra::Objects => dylib.units.values().copied().collect(),
        };
        for id in units {
            let unit = &state.units[id];
            let is_object = matches!(unit.source, Source::Object(_));
            match unit.state {
                UnitState::NeverSearched if is_object && !unit.is_pulled() => {
                    self.claim(state, id);
                }
                // Whoever links it, the client waits for it.
                UnitState::InBatch(batch) if is_object => {
                    state.add_batch_dependency(self.batch, batch);
                }
                _ => {}
            }
        }
    }

    /// Runs waves until every name is settled or an error is found.
    pub(in crate::session) fn resolve(&mut self) {
        let _within = WithinBatch::new(self.session, self.batch, false);
        loop {
            self.want_references();
            if self.wants.is_empty() && !self.want_more() {
                return;
            }
            let asked = self.probe();
            self.ask(asked);
            if !self.errors.is_empty() {
                return;
            }
        }
    }

    /// When no name is left to search for: what else has to be. False if there is nothing.
    fn want_more(&mut self) -> bool {
        self.want_for_libraries()
            || self.replace_commons()
            || self.reopen()
            || self.take_commons_from_libraries()
    }

    /// Wants a name as seen from a dylib. Returns the number of its slot.
    pub(in crate::session) fn want(
        &mut self,
        dylib: DylibId,
        name: NameId,
        need: Need,
        by_object: bool,
    ) -> u32 {
        let next = self.slots.len() as u32;
        let slot = self.numbers.get_or_insert(dylib, name, next);
        if !by_object {
            self.client_slots.push(slot);
        }
        if slot == next {
            self.slots.push(Slot {
                dylib,
                name,
                answer: Answer::Open,
                need,
                by_object,
                hidden: false,
            });
            self.wants.push(Want::new(slot, dylib, name));
            return slot;
        }
        let known = &mut self.slots[slot as usize];
        known.by_object |= by_object;
        if need > known.need {
            known.need = need;
            if matches!(known.answer, Answer::NotYet | Answer::Null) {
                known.answer = Answer::Open;
                self.wants.push(Want::new(slot, dylib, name));
            }
        }
        slot
    }

    /// Searches again for names whose definition in force changed while the batch forms.
    pub(in crate::session) fn want_again(&mut self, displaced: &IdSet<(DylibId, NameId)>) {
        if displaced.is_empty() {
            return;
        }
        for (at, slot) in (0u32..).zip(&mut self.slots) {
            // A dylib's names may be referred to from others too.
            let concerned = displaced.iter().any(|(_, name)| *name == slot.name);
            if concerned && matches!(slot.answer, Answer::Mine { .. }) {
                slot.answer = Answer::Open;
                self.wants.push(Want::new(at, slot.dylib, slot.name));
            }
        }
        for (dylib, name) in displaced {
            self.want(*dylib, *name, Need::Weak, true);
        }
    }

    /// Makes the references of newly claimed units wanted, and what their lost definitions lost to.
    fn want_references(&mut self) {
        for fresh in std::mem::take(&mut self.fresh) {
            let Fresh {
                unit, dylib, lost, ..
            } = fresh;
            let lost_so_far = lost.len();
            let interface = fresh.source.interface();
            if fresh.has_commons {
                let definitions = interface.definitions.iter();
                let commons = definitions.filter(|d| matches!(d.linkage, Linkage::Common { .. }));
                self.commons.extend(commons.map(|d| (dylib, d.name)));
            }
            for reference in &interface.references {
                let need = Need::strong_unless(reference.weak);
                let slot = self.want(dylib, reference.name, need, true);
                self.slots[slot as usize].hidden |= reference.hidden;
                self.referred.push(slot);
            }
            for index in lost {
                if let Some(definition) = interface.definitions.get(index as usize) {
                    let slot = self.want(dylib, definition.name, Need::Weak, true);
                    self.referred.push(slot);
                }
            }
            self.users.push(User {
                unit,
                lost: lost_so_far,
                end: self.referred.len(),
            });
        }
    }

    /// Claimed units, with the slots of the names that they refer to.
    pub(in crate::session) fn users(&self) -> impl Iterator<Item = (&User, &[u32])> {
        let mut start = 0;
        self.users.iter().map(move |user| {
            let slots = &self.referred[std::mem::replace(&mut start, user.end)..user.end];
            (user, slots)
        })
    }

    /// Replaces what claimed units refer to.
    pub(in crate::session) fn set_users(&mut self, users: Vec<User>, referred: Vec<u32>) {
        self.users = users;
        self.referred = referred;
    }

    /// Adds a claimed unit that refers to one name.
    pub(in crate::session) fn add_user(&mut self, unit: UnitId, slot: Option<usize>) {
        self.referred.extend(slot.map(|slot| slot as u32));
        self.users.push(User::new(unit, 0, self.referred.len()));
    }

    /// Looks once more at names without a definition: a member pulled since may define them. False if
    /// nothing is left to look at.
    fn reopen(&mut self) -> bool {
        let claimed_since = self.units.len() != self.reopened_at;
        self.reopened_at = self.units.len();
        for (at, slot) in (0u32..).zip(&mut self.slots) {
            let again = match slot.answer {
                Answer::NotYet => true,
                Answer::Null => claimed_since,
                _ => false,
            };
            if again {
                slot.answer = Answer::Null;
                let mut want = Want::new(at, slot.dylib, slot.name);
                // Libraries and generators have been asked.
                want.stage = Stage::Generated;
                self.wants.push(want);
            }
        }
        !self.wants.is_empty()
    }

    /// Claims a unit that nobody has.
    pub(in crate::session) fn claim(&mut self, state: &mut State, id: UnitId) {
        state.claim(self.batch, id);
        self.take_claimed(state, id);
    }

    fn take_claimed(&mut self, state: &State, id: UnitId) {
        let unit = &state.units[id];
        if unit.lost_strong {
            self.errors.push(self.session.lost_strong_error(state, id));
        }
        self.units.push(id);
        self.fresh.push(Fresh {
            unit: id,
            dylib: unit.dylib,
            source: unit.source.clone(),
            lost: unit.lost.clone(),
            has_commons: unit.has_commons,
        });
    }

    /// Records the answer of a name.
    pub(in crate::session) fn answer(&mut self, want: &Want, answer: Answer) {
        self.slots[want.slot as usize].answer = answer;
    }

    /// Records an answer that needs more room than others.
    pub(in crate::session) fn answer_extra(&mut self, want: &Want, resolution: Resolution) {
        let extra = self.extras.len() as u32;
        self.extras.push(resolution);
        self.answer(want, Answer::Extra(extra));
    }

    /// The place of a name's slot, if the name was wanted.
    pub(in crate::session) fn slot_index(&self, dylib: DylibId, name: NameId) -> Option<usize> {
        self.numbers.get(dylib, name)
    }

    /// The slot of a name, if it was wanted.
    pub(in crate::session) fn slot(&self, dylib: DylibId, name: NameId) -> Option<&Slot> {
        self.slots.get(self.slot_index(dylib, name)?)
    }

    /// The finished map of names to slots.
    pub(in crate::session) fn take_numbers(&mut self) -> SlotNumbers {
        std::mem::take(&mut self.numbers)
    }

    /// Gives up: everything claimed goes back, and all who wait get the error.
    pub(in crate::session) fn give_up(self, error: &LinkError, then: Option<Then>) {
        let mut deferred = DeferredCalls::default();
        {
            let mut state = self.session.state.lock();
            state.fail_first_cause(self.batch, error.clone(), &mut deferred);
            for client in self.clients {
                state.fail_first_cause(client, error.clone(), &mut deferred);
            }
        }
        deferred.run(self.session);
        if let Some(then) = then {
            then(Err(error.clone()));
        }
    }
}

impl Want {
    fn new(slot: u32, dylib: DylibId, name: NameId) -> Self {
        Self {
            slot,
            search: dylib,
            name,
            at: 0,
            stage: Stage::Table,
            hops: 0,
            at_home: true,
        }
    }
}
