//! What of a lazy dylib waits until it is called.
//!
//! A lookup in a lazy dylib resolves as any other does: members are pulled, names are found to be missing, and
//! what has initializers is claimed. Then those objects go back that are referred to for their functions
//! alone: each of these functions gets a stub ([`crate::stubs`]), and references lead there. What is
//! referred to as data is linked now, with all data that it refers to itself.
//!
//! An object that went back is linked when one of its functions is called. Its references were settled then, so
//! that lookup does not follow them again: it leads to stubs at once ([`Answer::Deferred`]).
//!
//! **One address.** A function that has a stub has its address there, for all references but the calls
//! within the object that defines it.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::hash_map::Entry;
use rayon::prelude::*;

use crate::batch::{Exported, ProgramLink, UnitId};
use crate::ids::{DylibId, TrackerId};
use crate::name::{NameId, NameUses};
use crate::object::{Definition, Linkage, ObjectFile, Scope, SymbolKind};
use crate::session::lookup::resolve::{Answer, Need, Resolver, User};
use crate::session::tables::ids::{IdMap, IdSet};
use crate::session::tables::state::{DylibStub, State};
use crate::session::tables::unit::{LinkRank, Source, Unit, UnitState};
use crate::stubs::object::{REENTER, StubName, StubSections, StubsObject};
use crate::stubs::{Behind, StubSet};
use crate::threads;

/// Below this many objects, spreading work over threads costs more than it gains.
const PARALLEL_MIN: usize = 32;

/// What may wait.
#[derive(Default)]
pub(in crate::session) struct MayWait {
    /// Claimed objects that can be linked later.
    units: IdSet<UnitId>,
    /// Claimed objects of which something runs while they are linked.
    early: Vec<UnitId>,
    /// Names that a library may take from the program.
    by_libraries: Vec<NameId>,
    /// Whether any dylib of the session has stubs.
    stubs: bool,
}

/// An object that a lookup has claimed.
type ClaimedObject = (UnitId, Arc<dyn ObjectFile>);

/// A function that gets a stub.
struct Wanted {
    definition: Definition,
    /// The slots of the references that lead there.
    slots: Vec<u32>,
}

/// Functions that get stubs, by what the stubs belong to.
type AllWanted = BTreeMap<(DylibId, TrackerId), IdMap<NameId, Wanted>>;

impl Resolver<'_> {
    /// Asks the claimed objects of lazy dylibs whether they can wait.
    pub(in crate::session) fn who_may_wait(&mut self) -> MayWait {
        if self.is_whole {
            return MayWait::default();
        }
        let Some((objects, dylibs)) = self.objects_with_stubs() else {
            return MayWait::default();
        };
        for dylib in dylibs {
            let reenter = self.session.names.intern(REENTER);
            self.want(dylib, reenter, Need::Strong, true);
        }
        if !self.wants.is_empty() {
            self.resolve();
        }
        let ask = |(id, object): &ClaimedObject| (*id, object.can_wait(), object.runs_early());
        let answers: Vec<(UnitId, bool, bool)> = match objects.len() < PARALLEL_MIN {
            true => objects.iter().map(ask).collect(),
            false => threads::share(|| objects.par_iter().map(ask).collect()),
        };
        let waiting = answers.iter().filter(|(_, can_wait, _)| *can_wait);
        let early = answers.iter().filter(|(.., runs_early)| *runs_early);
        MayWait {
            units: waiting.map(|(id, ..)| *id).collect(),
            early: early.map(|(id, ..)| *id).collect(),
            by_libraries: self.names_of_libraries(),
            stubs: true,
        }
    }

    /// Objects of lazy dylibs that are claimed, and the dylibs that may get stubs. `None` if no dylib of the
    /// session has any.
    fn objects_with_stubs(&self) -> Option<(Vec<ClaimedObject>, Vec<DylibId>)> {
        let state = self.session.state.lock();
        if !state.has_stubs {
            return None;
        }
        let mut dylibs = IdSet::default();
        let mut objects = Vec::new();
        for id in &self.units {
            let unit = &state.units[*id];
            let dylib = state.dylib(unit.dylib);
            if !dylib.has_stubs() {
                continue;
            }
            dylibs.insert(unit.dylib);
            // Objects that replace others are linked at once: the others are.
            if let Source::Object(object) = &unit.source
                && dylib.is_lazy
                && self.overlay.is_none()
            {
                objects.push((*id, object.clone()));
            }
        }
        let has_stubs = |id: &DylibId| state.dylib(*id).has_stubs();
        let elsewhere = self.slots.iter().filter_map(|slot| match slot.answer {
            Answer::Deferred { dylib, .. } | Answer::Other { dylib, .. } => Some(dylib),
            _ => None,
        });
        dylibs.extend(elsewhere.filter(has_stubs));
        Some((objects, dylibs.into_iter().collect()))
    }

    /// Names of the session that libraries of the program define or take from elsewhere.
    fn names_of_libraries(&self) -> Vec<NameId> {
        let Some(program) = &self.program else {
            return Vec::new();
        };
        let mut names = Vec::new();
        for native in self.natives(program.dylib).iter() {
            native.library.for_each_interposable(&mut |name| {
                names.extend(self.session.names.find(name));
            });
        }
        names
    }

    /// Lets go of what can wait, and leads references to stubs.
    pub(in crate::session) fn defer(&mut self, state: &mut State, mut may_wait: MayWait) {
        if !may_wait.stubs {
            return;
        }
        let batch = state.batches.get(&self.batch);
        if batch.is_some_and(|batch| !batch.dependents.is_empty()) {
            // Another lookup counts on what is claimed here.
            may_wait.units.clear();
        }
        self.keep_what_is_needed_now(state, &mut may_wait);
        let wanted = self.want_stubs(state, &may_wait);
        self.let_go(state, &may_wait.units);
        for ((dylib, tracker), functions) in wanted {
            self.add_stubs(state, dylib, tracker, functions);
        }
    }

    /// Takes those out that the client asks for now or ahead, that libraries may take something from, and whose data is
    /// needed now.
    ///
    /// Libraries call what they take from the program while they are loaded, before a lookup can be answered:
    /// an allocator, for one.
    fn keep_what_is_needed_now(&self, state: &State, may_wait: &mut MayWait) {
        let waiting = &mut may_wait.units;
        let slots_of: IdMap<UnitId, Vec<u32>> = self
            .users()
            .map(|(user, slots)| (user.unit, self.all_slots(state, user, slots)))
            .collect();
        if let Some(unit) = self.produced {
            waiting.remove(&unit);
        }
        // What they call cannot be linked while they are.
        let mut early = std::mem::take(&mut may_wait.early);
        for id in &early {
            waiting.remove(id);
        }
        while let Some(unit) = early.pop() {
            for slot in slots_of.get(&unit).into_iter().flatten() {
                if let Answer::Mine { unit, .. } = self.slots[*slot as usize].answer
                    && waiting.remove(&unit)
                {
                    early.push(unit);
                }
            }
        }
        let mut now: Vec<UnitId> = self.units.clone();
        now.retain(|unit| !waiting.contains(unit));
        for slot in &self.client_slots {
            if let Answer::Mine { unit, index } = self.slots[*slot as usize].answer
                && (self.bodies || !is_function(state, unit, index))
                && waiting.remove(&unit)
            {
                now.push(unit);
            }
        }
        let program = self.program.as_ref().map(|program| program.dylib);
        let taken = program.into_iter().flat_map(|dylib| {
            let names = may_wait.by_libraries.iter();
            names.filter_map(move |name| state.dylib(dylib).defined(*name))
        });
        let ahead = self.ahead.iter();
        let ahead = ahead.filter_map(|(dylib, name)| state.dylib(*dylib).defined(*name));
        now.extend(
            taken
                .chain(ahead)
                .filter_map(|(unit, _)| waiting.take(&unit)),
        );
        while let Some(unit) = now.pop() {
            for slot in slots_of.get(&unit).into_iter().flatten() {
                if let Answer::Mine { unit, index } = self.slots[*slot as usize].answer
                    && !is_function(state, unit, index)
                    && waiting.remove(&unit)
                {
                    now.push(unit);
                }
            }
        }
    }

    /// The slots of what a unit refers to, with those of what its definitions have lost to since.
    fn all_slots(&self, state: &State, user: &User, slots: &[u32]) -> Vec<u32> {
        let mut all = slots.to_vec();
        all.extend(self.displaced_since(&state.units[user.unit], user.lost));
        all
    }

    /// Leads references to stubs that exist, and says which others are needed.
    fn want_stubs(&mut self, state: &State, may_wait: &MayWait) -> AllWanted {
        let mut all = AllWanted::new();
        let waiting = &may_wait.units;
        let of_objects = self
            .users()
            .filter(|(user, _)| !waiting.contains(&user.unit))
            .flat_map(|(user, slots)| self.all_slots(state, user, slots));
        let of_client = self.client_slots.iter().copied();
        let mut slots: Vec<u32> = match self.bodies {
            true => of_objects.collect(),
            false => of_objects.chain(of_client).collect(),
        };
        slots.sort_unstable();
        slots.dedup();
        for number in slots {
            let answer = self.slots[number as usize].answer;
            let Some((unit, definition)) = self.function(state, answer) else {
                continue;
            };
            let dylib = state.units[unit].dylib;
            let is_replaceable = state.dylib(dylib).is_replaceable;
            if let Some(stub) = state.dylib(dylib).stubs.get(&definition.name) {
                let name = stub.name;
                self.slots[number as usize].answer = Answer::Other { dylib, name };
            } else if is_replaceable
                || waiting.contains(&unit)
                || state.units[unit].state == UnitState::NeverSearched
            {
                let wanted = want_stub(state, &mut all, unit, definition);
                wanted.slots.push(number);
            } else if let Answer::Deferred { dylib, name } = answer {
                // Something else has claimed it meanwhile.
                self.slots[number as usize].answer = match state.units[unit].state {
                    UnitState::InBatch(batch) if batch == self.batch => Answer::Mine {
                        unit,
                        index: self.index_of(state, unit, name),
                    },
                    _ => Answer::Other { dylib, name },
                };
            }
        }
        self.want_stubs_of_replaceable(state, waiting, &mut all);
        all
    }

    /// All functions of objects that can be replaced have stubs, whether others refer to them or not.
    fn want_stubs_of_replaceable(
        &self,
        state: &State,
        waiting: &IdSet<UnitId>,
        all: &mut AllWanted,
    ) {
        for id in self.units.iter().filter(|id| !waiting.contains(*id)) {
            let unit = &state.units[*id];
            let dylib = state.dylib(unit.dylib);
            if !dylib.is_replaceable || state.is_stubs(*id) {
                continue;
            }
            for definition in &unit.source.interface().definitions {
                let name = definition.name;
                let defined = self.defined(state, unit.dylib, name);
                let is_own = defined.is_some_and(|(definer, _)| definer == *id);
                let is_function = definition.kind == SymbolKind::Function;
                if is_own && is_function && !dylib.stubs.contains_key(&name) {
                    want_stub(state, all, *id, *definition);
                }
            }
        }
    }

    /// The function of a dylib with stubs that an answer means: what defines it, and how.
    fn function(&self, state: &State, answer: Answer) -> Option<(UnitId, Definition)> {
        let (unit, index) = match answer {
            Answer::Mine { unit, index } => (unit, index),
            Answer::Other { dylib, name } | Answer::Deferred { dylib, name } => {
                let (unit, entry) = self.defined(state, dylib, name)?;
                (unit, entry.index)
            }
            Answer::Open | Answer::NotYet | Answer::Extra(_) | Answer::Null => return None,
        };
        let has_stubs = state.dylib(state.units[unit].dylib).has_stubs();
        let definition = state.units[unit].definition(index)?;
        let is_function = definition.kind == SymbolKind::Function;
        (has_stubs && is_function && !state.is_stubs(unit)).then_some((unit, *definition))
    }

    /// The place of a name among a unit's definitions.
    fn index_of(&self, state: &State, unit: UnitId, name: NameId) -> u32 {
        let entry = self.entry(state, state.units[unit].dylib, name);
        entry.map_or(0, |entry| entry.index)
    }

    /// Objects go back to where they were before they were claimed. Nobody follows their references again
    /// until they are called.
    fn let_go(&mut self, state: &mut State, waiting: &IdSet<UnitId>) {
        for id in waiting {
            let unit = &mut state.units[*id];
            unit.state = UnitState::NeverSearched;
            unit.waits = true;
            let tracker = unit.tracker;
            if let Some(tracker) = state.trackers.get_mut(&tracker) {
                tracker.busy -= 1;
            }
        }
        if let Some(batch) = state.batches.get_mut(&self.batch) {
            batch.units.retain(|unit| !waiting.contains(unit));
        }
        self.units.retain(|unit| !waiting.contains(unit));
        let mut referred = Vec::new();
        let mut users = Vec::new();
        for (user, slots) in self.users() {
            if !waiting.contains(&user.unit) {
                referred.extend_from_slice(slots);
                users.push(User::new(user.unit, user.lost, referred.len()));
            }
        }
        self.set_users(users, referred);
        self.has_deferred |= !waiting.is_empty();
    }

    /// Makes stubs, a part of the batch.
    fn add_stubs(
        &mut self,
        state: &mut State,
        dylib: DylibId,
        tracker: TrackerId,
        functions: IdMap<NameId, Wanted>,
    ) {
        let session = self.session;
        let names = &session.names;
        let mut uses = NameUses::new(names);
        let mut functions: Vec<Wanted> = functions.into_values().collect();
        functions.sort_unstable_by_key(|wanted| wanted.definition.name);
        let stub = |wanted: &Wanted| {
            let shown = wanted.definition.name;
            let own = [b"<stub>", &*names.bytes(shown)].concat();
            StubName {
                name: uses.intern(&own),
                shown,
                linkage: Linkage::Strong,
                scope: wanted.definition.scope,
            }
        };
        let tracker = state.stub_tracker(tracker);
        let stubs: Vec<StubName> = functions.iter().map(stub).collect();
        let behind = stubs.iter().map(|it| Behind::InForce(dylib, it.shown));
        let architecture = session.executor.architecture();
        let handler = state.dylib(dylib).on_failure;
        let handler = handler.filter(|handler| !state.is_gone(handler));
        let set = StubSet::new(names, tracker, architecture, behind.collect(), handler);
        let set = Arc::new(set);
        let sections = StubSections::new(&*session.platforms.of(dylib), names);
        let calls = session.lazy_calls.clone();
        let object = StubsObject::new(uses, architecture, sections, &stubs, set.clone(), calls);
        let rank: LinkRank = (state.dylib_mut(dylib).next_rank(), 0);
        let source = Source::Object(Arc::new(object));
        let mut unit = Unit::new(source, dylib, tracker, rank, None);
        unit.is_of_batch = true;
        let Ok((id, _)) = state.add_unit(unit, Some(self.batch)) else {
            // No object can spell these names.
            return;
        };
        for (stub, wanted) in stubs.iter().zip(&functions) {
            let name = stub.name;
            let known = &mut state.dylib_mut(dylib).stubs;
            known.insert(stub.shown, DylibStub { unit: id, name });
            for slot in &wanted.slots {
                let index = self.index_of(state, id, name);
                self.slots[*slot as usize].answer = Answer::Mine { unit: id, index };
            }
        }
        let waits = |name: &NameId| {
            let found = self.defined(state, dylib, *name);
            found.is_some_and(|(unit, _)| state.units[unit].state == UnitState::NeverSearched)
        };
        let waiting = stubs.iter().map(|stub| stub.shown).filter(waits);
        session.speculator.note(dylib, self.depth, waiting);
        state.keep_stubs(id, set.clone());
        if let Some(handler) = handler {
            state.bind(&set, handler);
        }
        state.claim(self.batch, id);
        self.units.push(id);
        let reenter = self.slot_index(dylib, names.intern(REENTER));
        self.add_user(id, reenter);
    }
}

/// Whether a program cannot be linked in parts: what starts it, or who opens it, looks at all of it.
pub(in crate::session) fn must_be_whole(program: &ProgramLink) -> bool {
    program.own_c_library
        || program.fixed_addresses
        || program.rehearse.is_some()
        || !matches!(program.exported, Exported::Nothing)
}

fn is_function(state: &State, unit: UnitId, index: u32) -> bool {
    let definition = state.units[unit].definition(index);
    definition.is_some_and(|definition| definition.kind == SymbolKind::Function)
}

fn want_stub<'a>(
    state: &State,
    all: &'a mut AllWanted,
    unit: UnitId,
    definition: Definition,
) -> &'a mut Wanted {
    let unit = &state.units[unit];
    let functions = all.entry((unit.dylib, unit.tracker)).or_default();
    match functions.entry(definition.name) {
        Entry::Occupied(known) => known.into_mut(),
        Entry::Vacant(place) => place.insert(Wanted {
            definition: Definition {
                scope: definition.scope.min(Scope::Hidden),
                ..definition
            },
            slots: Vec::new(),
        }),
    }
}
