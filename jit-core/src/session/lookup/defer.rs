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
    /// Names that a library may take from the program.
    by_libraries: Vec<NameId>,
    /// Whether a dylib is lazy at all.
    lazy: bool,
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
        let Some((objects, dylibs)) = self.lazy_objects() else {
            return MayWait::default();
        };
        for dylib in dylibs {
            let reenter = self.session.names.intern(REENTER);
            self.want(dylib, reenter, Need::Strong, true);
        }
        if !self.wants.is_empty() {
            self.resolve();
        }
        let can_wait = |(id, object): &ClaimedObject| {
            let can_wait = object.can_wait();
            can_wait.then_some(*id)
        };
        let units: Vec<UnitId> = match objects.len() < PARALLEL_MIN {
            true => objects.iter().filter_map(can_wait).collect(),
            false => threads::share(|| objects.par_iter().filter_map(can_wait).collect()),
        };
        MayWait {
            units: units.into_iter().collect(),
            by_libraries: self.names_of_libraries(),
            lazy: true,
        }
    }

    /// Objects of lazy dylibs that are claimed, and the dylibs that may get stubs. `None` if the session has
    /// no lazy dylib.
    fn lazy_objects(&self) -> Option<(Vec<ClaimedObject>, Vec<DylibId>)> {
        let state = self.session.state.lock();
        if !state.has_lazy {
            return None;
        }
        let mut dylibs = IdSet::default();
        let mut objects = Vec::new();
        for id in &self.units {
            let unit = &state.units[*id];
            if state.dylib(unit.dylib).is_lazy {
                dylibs.insert(unit.dylib);
                if let Source::Object(object) = &unit.source {
                    objects.push((*id, object.clone()));
                }
            }
        }
        let deferred = self.slots.iter().filter_map(|slot| match slot.answer {
            Answer::Deferred { dylib, .. } => Some(dylib),
            _ => None,
        });
        dylibs.extend(deferred);
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
        if !may_wait.lazy {
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

    /// Takes those out that the client asks for, that libraries may take something from, and whose data is
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
        now.extend(taken.filter_map(|(unit, _)| waiting.take(&unit)));
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
            let Some((unit, definition)) = function(state, answer) else {
                continue;
            };
            let dylib = state.units[unit].dylib;
            if let Some(stub) = state.dylib(dylib).stubs.get(&definition.name) {
                let name = stub.name;
                self.slots[number as usize].answer = Answer::Other { dylib, name };
            } else if waiting.contains(&unit) || state.units[unit].state == UnitState::NeverSearched
            {
                want_stub(state, &mut all, unit, definition)
                    .slots
                    .push(number);
            } else if let Answer::Deferred { dylib, name } = answer {
                // Something else has claimed it meanwhile.
                self.slots[number as usize].answer = match state.units[unit].state {
                    UnitState::InBatch(batch) if batch == self.batch => Answer::Mine {
                        unit,
                        index: index_of(state, unit, name),
                    },
                    _ => Answer::Other { dylib, name },
                };
            }
        }
        all
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
        let stubs: Vec<StubName> = functions.iter().map(stub).collect();
        let behind = stubs.iter().map(|it| Behind::InForce(dylib, it.shown));
        let architecture = session.executor.architecture();
        let set = StubSet::new(names, tracker, architecture, behind.collect(), None);
        let set = Arc::new(set);
        let sections = StubSections::new(&*session.platform, names);
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
                let index = index_of(state, id, name);
                self.slots[*slot as usize].answer = Answer::Mine { unit: id, index };
            }
        }
        state.keep_stubs(id, set);
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

/// The function of a lazy dylib that an answer means: what defines it, and how.
fn function(state: &State, answer: Answer) -> Option<(UnitId, Definition)> {
    let (unit, index) = match answer {
        Answer::Mine { unit, index } => (unit, index),
        Answer::Other { dylib, name } | Answer::Deferred { dylib, name } => {
            let (unit, entry) = state.dylib(dylib).defined(name)?;
            (unit, entry.index)
        }
        Answer::Open | Answer::NotYet | Answer::Extra(_) | Answer::Null => return None,
    };
    let is_lazy = state.dylib(state.units[unit].dylib).is_lazy;
    let definition = state.units[unit].definition(index)?;
    (is_lazy && definition.kind == SymbolKind::Function).then_some((unit, *definition))
}

/// The place of a name among a unit's definitions.
fn index_of(state: &State, unit: UnitId, name: NameId) -> u32 {
    let table = &state.dylib(state.units[unit].dylib).table;
    table.get(name).map_or(0, |entry| entry.index)
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
