//! Everything a session knows, under one lock.
//!
//! The lock is held for table work only: never while parsing, linking, calling a generator, a
//! materializer or the executor. What has to be called as a result of a change is collected in
//! [`crate::session::batches::deferred::DeferredCalls`] and called after the lock is released.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::hash_map::Entry as Place;
use orc_shared::ExecutorAddr;

use crate::batch::{Batch, BatchHost, DylibId, TrackerId, UnitId};
use crate::error::LinkError;
use crate::executor::Finalized;
use crate::name::NameId;
use crate::native::NativeLibrary;
use crate::object::LazyObjects;
use crate::stubs::{Bound, StubSet};

use crate::session::batches::query::{Countdown, Query};
use crate::session::handles::definitions::{Generator, Materializer};
use crate::session::tables::dylibs::Dylibs;
use crate::session::tables::ids::{BatchKey, IdMap, IdSet, NameMap};
use crate::session::tables::symbol_table::{Clash, Entry, SymbolTable};
use crate::session::tables::unit::{LinkRank, Unit, UnitState, Units};

/// The state of a session.
#[derive(Default)]
pub(in crate::session) struct State {
    pub(in crate::session) dylibs: Dylibs<DylibState>,
    /// Closed dylibs of which memory is left, and of how many trackers.
    pub(in crate::session) closing: IdMap<DylibId, usize>,
    pub(in crate::session) units: Units,
    pub(in crate::session) trackers: IdMap<TrackerId, TrackerState>,
    pub(in crate::session) batches: IdMap<BatchKey, BatchState>,
    /// What clients' units are made by, until they are ready. (Clients are not called under the lock.)
    pub(in crate::session) materializers: IdMap<UnitId, Arc<dyn Materializer>>,
    /// Removed trackers whose code other threads will still call.
    pub(in crate::session) waiting_for_threads: Vec<TrackerId>,
    /// Whether any dylib has stubs of its functions: it is lazy, or can be replaced.
    pub(in crate::session) has_stubs: bool,
    /// Trackers whose objects were replaced, by what clients know them by.
    pub(in crate::session) generations: IdMap<TrackerId, TrackerId>,
    next_tracker: u32,
    next_batch: u64,
    next_allocation: u64,
}

/// A static archive of a dylib.
pub(in crate::session) struct Archive {
    pub(in crate::session) objects: Arc<dyn LazyObjects>,
    pub(in crate::session) tracker: TrackerId,
    /// Members pulled so far, by number.
    pub(in crate::session) members: IdMap<u32, UnitId>,
    /// Members pulled so far, for link order; counts removed ones too.
    pub(in crate::session) pulled: u32,
}

/// A native library of a dylib.
#[derive(Clone)]
pub(in crate::session) struct Native {
    /// Its place among archives and libraries: the first that has a name provides it.
    pub(in crate::session) rank: u32,
    pub(in crate::session) library: Arc<dyn NativeLibrary>,
    pub(in crate::session) load_bias: Option<ExecutorAddr>,
}

/// A dylib: a symbol table and what may add to it.
pub(in crate::session) struct DylibState {
    pub(in crate::session) name: String,
    pub(in crate::session) table: SymbolTable,
    /// Where references of its objects are looked up; starts with itself unless the client says
    /// otherwise.
    pub(in crate::session) link_order: Arc<[DylibId]>,
    /// Other dylibs that its reexports lead to.
    pub(in crate::session) reexported: Vec<DylibId>,
    /// Archives by rank.
    pub(in crate::session) archives: BTreeMap<u32, Archive>,
    /// Libraries by rank. Shared with lookups, which search them without the lock.
    pub(in crate::session) natives: Arc<Vec<Native>>,
    pub(in crate::session) generators: Vec<Arc<dyn Generator>>,
    /// All units in link order.
    pub(in crate::session) units: BTreeMap<LinkRank, UnitId>,
    /// Of these, the objects that a client added that have initializers and are not linked yet.
    pub(in crate::session) initializers: BTreeMap<LinkRank, UnitId>,
    pub(in crate::session) default_tracker: Option<TrackerId>,
    pub(in crate::session) trackers: IdSet<TrackerId>,
    /// Whether functions are linked when they are first called.
    pub(in crate::session) is_lazy: bool,
    /// For those: what takes a call whose function cannot be linked.
    pub(in crate::session) on_failure: Option<Bound>,
    /// Whether objects can be replaced while they run.
    pub(in crate::session) is_replaceable: bool,
    /// For those: whether references may stay undefined.
    pub(in crate::session) undefined_allowed: bool,
    /// The stubs of its functions that have some, by the functions' names.
    pub(in crate::session) stubs: NameMap<DylibStub>,
    /// Trackers that exist, removed ones included.
    pub(in crate::session) tracker_count: usize,
    /// Dylibs that have it in their link orders, perhaps no more.
    pub(in crate::session) linked_by: IdSet<DylibId>,
    /// Its number among all that were ever made.
    pub(in crate::session) created: u64,
    next_rank: u32,
    /// Every archive's index as a map, made when a removal first needs it.
    pub(in crate::session) lazy_index: Option<NameMap<(u32, u32)>>,
}

/// The stub of a function of a lazy dylib.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::session) struct DylibStub {
    /// The object of stubs that has it.
    pub(in crate::session) unit: UnitId,
    /// The stub's own name.
    pub(in crate::session) name: NameId,
}

/// What can be removed as one.
pub(in crate::session) struct TrackerState {
    pub(in crate::session) dylib: DylibId,
    pub(in crate::session) units: Vec<UnitId>,
    /// Ranks of its archives and libraries.
    pub(in crate::session) providers: Vec<u32>,
    /// Memory, with the order in which it became final.
    pub(in crate::session) allocations: Vec<(u64, Box<dyn Finalized>)>,
    /// Handles that keep its code.
    pub(in crate::session) guards: u32,
    /// Its units in batches in flight.
    pub(in crate::session) busy: u32,
    /// Trackers whose code its code refers to.
    pub(in crate::session) depends_on: IdSet<TrackerId>,
    /// Trackers to whose code its stubs lead, and how many do.
    pub(in crate::session) bound: IdMap<TrackerId, u32>,
    /// Its stubs, by their objects.
    pub(in crate::session) stubs: IdMap<UnitId, Arc<StubSet>>,
    /// Trackers whose code refers to its code, and the first object of each that does.
    pub(in crate::session) dependents: IdMap<TrackerId, Arc<str>>,
    pub(in crate::session) removed: bool,
    pub(in crate::session) exits: Exits,
    pub(in crate::session) replacement: Replacement,
}

/// What a tracker has to do with others, because its objects can be replaced.
#[derive(Default)]
pub(in crate::session) struct Replacement {
    /// What clients know it by, if that is not its own id.
    pub(in crate::session) handle: Option<TrackerId>,
    /// The tracker of its functions' stubs, which stay when the objects are replaced.
    pub(in crate::session) stubs: Option<TrackerId>,
    /// Earlier versions that may still run.
    pub(in crate::session) earlier: Vec<TrackerId>,
    /// It was replaced and may still run: one of its guards is for that.
    pub(in crate::session) may_run: bool,
}

/// What a removed tracker's code has left to be called later: exit handlers, destructors of
/// thread-locals.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(in crate::session) enum Exits {
    /// Nobody has asked.
    #[default]
    Unknown,
    /// Somebody is asking, and exit handlers run.
    Asking,
    /// So many calls are left to be made by threads that live.
    Pending(u64),
    /// Nothing.
    Done,
}

impl Exits {
    /// Calls that threads have left to make, as far as anybody knows.
    pub(in crate::session) fn pending(self) -> u64 {
        match self {
            Self::Pending(count) => count,
            Self::Unknown | Self::Asking | Self::Done => 0,
        }
    }
}

/// How far a batch has come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(in crate::session) enum Phase {
    /// Its lookup still claims units.
    Forming,
    /// The linker, or a client's materializer, has it.
    Linking,
    /// Addresses are known.
    Resolved,
    /// Everything is in memory.
    Emitted,
}

/// Units that move together.
pub(in crate::session) struct BatchState {
    pub(in crate::session) phase: Phase,
    pub(in crate::session) units: Vec<UnitId>,
    /// Batches in flight that it refers to, and the reverse.
    pub(in crate::session) depends_on: IdSet<BatchKey>,
    pub(in crate::session) dependents: IdSet<BatchKey>,
    pub(in crate::session) queries: Vec<Arc<Query>>,
    pub(in crate::session) on_resolved: Vec<Arc<Countdown>>,
    /// Memory, with the order in which it became final.
    pub(in crate::session) allocations: Vec<(TrackerId, u64, Box<dyn Finalized>)>,
    /// Whether its memory is final, though it is not emitted: its code may run.
    pub(in crate::session) in_place: bool,
    /// Why it must fail, though the linker still works on it.
    pub(in crate::session) doomed: Option<LinkError>,
    /// A batch it reaches that was not emitted when last looked at.
    pub(in crate::session) blocked_on: Option<BatchKey>,
    /// For a client's unit: the unit, and what was asked of it.
    pub(in crate::session) client: Option<(UnitId, Vec<NameId>)>,
    /// What is to be done for it, until somebody starts that.
    pub(in crate::session) work: Option<Work>,
}

/// The work that a batch waits for.
pub(in crate::session) enum Work {
    /// A client's materializer.
    Materialize,
    Link(Box<Batch>, Arc<dyn BatchHost>),
}

impl State {
    pub(in crate::session) fn add_dylib(&mut self, name: String) -> DylibId {
        let make = |id, created| DylibState::new(name, id, created);
        self.dylibs.add(make)
    }

    /// The dylib; an empty one if it was closed.
    pub(in crate::session) fn dylib(&self, id: DylibId) -> &DylibState {
        self.dylibs.get(id)
    }

    /// The dylib, to change it; one that nobody will see if it was closed.
    pub(in crate::session) fn dylib_mut(&mut self, id: DylibId) -> &mut DylibState {
        self.dylibs.get_mut(id)
    }

    /// Says in which order a dylib's references are looked up.
    pub(in crate::session) fn set_link_order(&mut self, dylib: DylibId, order: Arc<[DylibId]>) {
        for other in order.iter().filter(|other| **other != dylib) {
            self.dylib_mut(*other).linked_by.insert(dylib);
        }
        self.dylib_mut(dylib).link_order = order;
    }

    /// A new tracker; one that was removed already if the dylib is closed.
    pub(in crate::session) fn add_tracker(&mut self, dylib: DylibId) -> TrackerId {
        let id = TrackerId(self.next_tracker);
        self.next_tracker = id.0.checked_add(1).expect("fewer than 2^32 trackers");
        if !self.dylibs.has(dylib) {
            return id;
        }
        self.trackers.insert(
            id,
            TrackerState {
                dylib,
                units: Vec::new(),
                providers: Vec::new(),
                allocations: Vec::new(),
                guards: 0,
                busy: 0,
                exits: Exits::default(),
                depends_on: IdSet::default(),
                bound: IdMap::default(),
                stubs: IdMap::default(),
                dependents: IdMap::default(),
                removed: false,
                replacement: Replacement::default(),
            },
        );
        let dylib = self.dylib_mut(dylib);
        dylib.trackers.insert(id);
        dylib.tracker_count += 1;
        id
    }

    /// The tracker that additions to a dylib belong to unless the client names one.
    pub(in crate::session) fn default_tracker(&mut self, dylib: DylibId) -> TrackerId {
        if let Some(tracker) = self.dylib(dylib).default_tracker {
            return tracker;
        }
        let tracker = self.add_tracker(dylib);
        self.dylib_mut(dylib).default_tracker = Some(tracker);
        tracker
    }

    /// The tracker that has what was added through a client's tracker, or what has replaced it.
    pub(in crate::session) fn generation(&self, handle: TrackerId) -> TrackerId {
        self.generations.get(&handle).copied().unwrap_or(handle)
    }

    /// The tracker of the stubs of a tracker's functions: in dylibs whose objects can be replaced, one of its
    /// own.
    pub(in crate::session) fn stub_tracker(&mut self, tracker: TrackerId) -> TrackerId {
        let Some(state) = self.trackers.get(&tracker) else {
            return tracker;
        };
        let dylib = state.dylib;
        if state.removed || !self.dylib(dylib).is_replaceable {
            return tracker;
        }
        if let Some(stubs) = state.replacement.stubs {
            return stubs;
        }
        let stubs = self.add_tracker(dylib);
        if let Some(state) = self.trackers.get_mut(&tracker) {
            state.replacement.stubs = Some(stubs);
        }
        stubs
    }

    /// The tracker, if it can still be added to.
    pub(in crate::session) fn live_tracker(
        &mut self,
        tracker: TrackerId,
    ) -> Result<&mut TrackerState, LinkError> {
        match self.trackers.get_mut(&tracker) {
            Some(state) if !state.removed => Ok(state),
            _ => Err(LinkError::Removed {
                what: format!("tracker {}", tracker.0),
            }),
        }
    }

    pub(in crate::session) fn add_batch(&mut self, phase: Phase) -> BatchKey {
        let key = BatchKey(self.next_batch);
        self.next_batch += 1;
        self.batches.insert(
            key,
            BatchState {
                phase,
                units: Vec::new(),
                depends_on: IdSet::default(),
                dependents: IdSet::default(),
                queries: Vec::new(),
                on_resolved: Vec::new(),
                allocations: Vec::new(),
                doomed: None,
                blocked_on: None,
                in_place: false,
                client: None,
                work: None,
            },
        );
        key
    }

    /// Moves a unit into a batch.
    pub(in crate::session) fn claim(&mut self, batch: BatchKey, id: UnitId) {
        let unit = &mut self.units[id];
        unit.state = UnitState::InBatch(batch);
        if let Some(tracker) = self.trackers.get_mut(&unit.tracker) {
            tracker.busy += 1;
        }
        if let Some(batch) = self.batches.get_mut(&batch) {
            batch.units.push(id);
        }
    }

    /// A batch that `root` waits for, or itself, whose work nobody has started; and all batches it
    /// waits for, if there is none.
    pub(in crate::session) fn work_for(
        &self,
        root: BatchKey,
    ) -> (Option<BatchKey>, IdSet<BatchKey>) {
        let mut reached: IdSet<BatchKey> = IdSet::default();
        reached.insert(root);
        let mut stack = vec![root];
        while let Some(key) = stack.pop() {
            let Some(batch) = self.batches.get(&key) else {
                continue;
            };
            if batch.work.is_some() && batch.phase >= Phase::Linking {
                return (Some(key), reached);
            }
            stack.extend(batch.depends_on.iter().filter(|key| reached.insert(**key)));
        }
        (None, reached)
    }

    /// Records that one batch in flight refers to another.
    pub(in crate::session) fn add_batch_dependency(&mut self, from: BatchKey, to: BatchKey) {
        if from == to || !self.batches.contains_key(&from) {
            return;
        }
        let Some(target) = self.batches.get_mut(&to) else {
            return;
        };
        target.dependents.insert(from);
        if let Some(batch) = self.batches.get_mut(&from) {
            batch.depends_on.insert(to);
        }
    }

    /// Records that a tracker's code refers to another's, and the first object of it that does.
    pub(in crate::session) fn add_tracker_dependency(
        &mut self,
        from: TrackerId,
        to: TrackerId,
        user: UnitId,
    ) {
        if from == to || !self.trackers.contains_key(&from) {
            return;
        }
        let is_new = self.note_dependent(from, to, user);
        if let Some(tracker) = self.trackers.get_mut(&from)
            // What its stubs lead to is noted already, and may not be for good.
            && (is_new || tracker.bound.contains_key(&to))
        {
            tracker.depends_on.insert(to);
        }
    }

    /// Notes at a tracker that the code of another needs its code; true if that was not known.
    pub(in crate::session) fn note_dependent(
        &mut self,
        from: TrackerId,
        to: TrackerId,
        user: UnitId,
    ) -> bool {
        let Some(target) = self.trackers.get_mut(&to) else {
            return false;
        };
        let Place::Vacant(place) = target.dependents.entry(from) else {
            return false;
        };
        place.insert(self.units[user].source.name().into());
        true
    }

    pub(in crate::session) fn next_allocation(&mut self) -> u64 {
        self.next_allocation += 1;
        self.next_allocation
    }

    /// Adds a unit to a tracker, a dylib's order and its table. If its definitions clash with others',
    /// nothing is changed and the clashes are returned.
    pub(in crate::session) fn add_unit(
        &mut self,
        unit: Unit,
        forming: Option<BatchKey>,
    ) -> Result<(UnitId, Vec<NameId>), Vec<Clash>> {
        let (dylib, tracker, rank) = (unit.dylib, unit.tracker, unit.rank);
        let starts = !unit.is_pulled() && unit.source.interface().has_initializers;
        let id = self.units.add(unit);
        let state = self.dylibs.get_mut(dylib);
        let merged = state.table.merge(&mut self.units, id, forming);
        if !merged.clashes.is_empty() {
            // The caller still holds the object, so nothing is destroyed here.
            drop(self.units.free(id));
            return Err(merged.clashes);
        }
        if state.table.newest_wins {
            // Who has a stub of an older function keeps that.
            for name in &merged.displaced {
                state.stubs.remove(name);
            }
        }
        state.units.insert(rank, id);
        if starts {
            state.initializers.insert(rank, id);
        }
        if let Some(tracker) = self.trackers.get_mut(&tracker) {
            tracker.units.push(id);
        }
        Ok((id, merged.displaced))
    }
}

impl DylibState {
    pub(in crate::session) fn new(name: String, id: DylibId, created: u64) -> Self {
        Self {
            name,
            link_order: Arc::new([id]),
            reexported: Vec::new(),
            created,
            ..Self::default()
        }
    }

    /// The place of the next input in link order.
    pub(in crate::session) fn next_rank(&mut self) -> u32 {
        let rank = self.next_rank;
        self.next_rank += 1;
        rank
    }

    /// Adds an archive's names as lazy ones, after everything the dylib has.
    pub(in crate::session) fn add_archive(
        &mut self,
        objects: Arc<dyn LazyObjects>,
        tracker: TrackerId,
    ) -> u32 {
        let rank = self.next_rank();
        for (name, member) in objects.index() {
            self.table.offer_lazy(*name, rank, *member);
        }
        self.archives.insert(
            rank,
            Archive {
                objects,
                tracker,
                members: IdMap::default(),
                pulled: 0,
            },
        );
        self.lazy_index = None;
        rank
    }

    /// Makes names lazy again whose definition was removed.
    pub(in crate::session) fn restore_lazy(&mut self, names: &[NameId]) {
        if names.is_empty() || self.archives.is_empty() {
            return;
        }
        let archives = &self.archives;
        let index = self.lazy_index.get_or_insert_with(|| {
            let mut index = NameMap::default();
            for (rank, archive) in archives {
                for (name, member) in archive.objects.index() {
                    index.entry(*name).or_insert((*rank, *member));
                }
            }
            index
        });
        for name in names {
            if let Some((rank, member)) = index.get(name) {
                self.table.offer_lazy(*name, *rank, *member);
            }
        }
    }

    /// Whether some of its functions have stubs.
    pub(in crate::session) fn has_stubs(&self) -> bool {
        self.is_lazy || self.is_replaceable
    }

    /// Whether a unit's definition of a name is in force.
    pub(in crate::session) fn defined_by(&self, name: NameId, unit: UnitId) -> bool {
        self.defined(name)
            .is_some_and(|(definer, _)| definer == unit)
    }

    /// The definition in force of a name, lazy ones aside.
    pub(in crate::session) fn defined(&self, name: NameId) -> Option<(UnitId, &Entry)> {
        let entry = self.table.get(name)?;
        Some((entry.unit()?, entry))
    }
}

impl Default for DylibState {
    /// What a closed dylib looks like: nothing is in it, and nothing is found from it.
    fn default() -> Self {
        Self {
            name: String::new(),
            table: SymbolTable::default(),
            link_order: Arc::default(),
            reexported: Vec::new(),
            archives: BTreeMap::new(),
            natives: Arc::default(),
            generators: Vec::new(),
            units: BTreeMap::new(),
            initializers: BTreeMap::new(),
            default_tracker: None,
            trackers: IdSet::default(),
            is_lazy: false,
            on_failure: None,
            is_replaceable: false,
            undefined_allowed: false,
            stubs: NameMap::default(),
            tracker_count: 0,
            linked_by: IdSet::default(),
            created: 0,
            next_rank: 0,
            lazy_index: None,
        }
    }
}
