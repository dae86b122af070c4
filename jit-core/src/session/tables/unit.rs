//! Units: what is linked or produced as one, and the states it passes through.
//!
//! ```text
//!                 a lookup claims it                    addresses known          in memory, final
//! NeverSearched ───────────────────▶ InBatch(Forming) ─▶ InBatch(Linking) ─▶ InBatch(Resolved) ─▶ InBatch(Emitted) ─▶ Ready
//!       ▲                                  │                    │                    │                    │
//!       └──────────────────────────────────┴──────── the batch failed ───────────────┴────────────────────┘
//! ```
//!
//! The four middle states belong to the batch, so that moving ten thousand units from one to the
//! next is one assignment. A unit becomes ready when every batch that its batch depends on,
//! directly or not, is emitted.

use std::ops::{Index, IndexMut};
use std::sync::Arc;

use crate::batch::{DylibId, TrackerId, UnitAddresses, UnitId};
use crate::name::{NameId, NameUses};
use crate::object::{Definition, ObjectFile, ObjectInterface};
use crate::statics::Statics;

use crate::session::tables::ids::BatchKey;

/// What a unit is made of.
#[derive(Clone)]
pub(in crate::session) enum Source {
    Object(Arc<dyn ObjectFile>),
    /// Symbols with known addresses, and who gave them.
    Absolute(Arc<ObjectInterface>, Arc<str>),
    /// Names that stand for others, in the order of the definitions.
    Reexport(Arc<ObjectInterface>, Arc<[(DylibId, NameId)]>),
    /// What a client's materializer promised, and its name.
    Client(Arc<ObjectInterface>, Arc<str>),
}

impl Source {
    pub(in crate::session) fn interface(&self) -> &ObjectInterface {
        match self {
            Self::Object(object) => object.interface(),
            Self::Absolute(made, _) | Self::Reexport(made, _) | Self::Client(made, _) => made,
        }
    }

    /// The name for messages.
    pub(in crate::session) fn name(&self) -> String {
        match self {
            Self::Object(object) => object.name().to_owned(),
            Self::Absolute(_, who) | Self::Client(_, who) => who.to_string(),
            Self::Reexport(..) => "reexports".to_owned(),
        }
    }

    /// Whether it is only names for what lies elsewhere: nothing of it is ever linked.
    pub(in crate::session) fn is_names_alone(&self) -> bool {
        matches!(self, Self::Absolute(..) | Self::Reexport(..))
    }
}

/// Where a unit is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::session) enum UnitState {
    NeverSearched,
    InBatch(BatchKey),
    Ready,
}

/// A unit's place in link order: the rank of the input it came from, then the order in which members
/// were pulled from that archive.
pub(in crate::session) type LinkRank = (u32, u32);

/// A unit of a dylib.
pub(in crate::session) struct Unit {
    pub(in crate::session) source: Source,
    pub(in crate::session) dylib: DylibId,
    pub(in crate::session) tracker: TrackerId,
    pub(in crate::session) state: UnitState,
    pub(in crate::session) rank: LinkRank,
    /// The archive member it was pulled from: the archive's rank among the providers, and the member.
    pub(in crate::session) pulled: Option<(u32, u32)>,
    /// The client's unit whose promises this object keeps.
    pub(in crate::session) replaces: Option<UnitId>,
    /// Indexes of definitions that lost to another unit's; unsorted.
    pub(in crate::session) lost: Vec<u32>,
    /// Whether a strong definition is among them, which makes linking the unit an error.
    pub(in crate::session) lost_strong: bool,
    pub(in crate::session) lost_groups: Vec<u32>,
    pub(in crate::session) has_commons: bool,
    /// It was claimed before, and waits for a call of its functions: its references are settled.
    pub(in crate::session) waits: bool,
    /// It was made for a batch, and goes if that fails.
    pub(in crate::session) is_of_batch: bool,
    /// Addresses of its definitions, once its batch is resolved.
    pub(in crate::session) addresses: UnitAddresses,
    /// Its use of its names, if it is no object: those see to that themselves.
    pub(in crate::session) names: Option<NameUses>,
    /// Its variables, if it can be replaced.
    pub(in crate::session) statics: Option<Arc<Statics>>,
}

impl Unit {
    pub(in crate::session) fn new(
        source: Source,
        dylib: DylibId,
        tracker: TrackerId,
        rank: LinkRank,
        pulled: Option<(u32, u32)>,
    ) -> Self {
        Self {
            source,
            dylib,
            tracker,
            state: UnitState::NeverSearched,
            rank,
            pulled,
            replaces: None,
            lost: Vec::new(),
            lost_strong: false,
            lost_groups: Vec::new(),
            has_commons: false,
            waits: false,
            is_of_batch: false,
            addresses: Vec::new(),
            names: None,
            statics: None,
        }
    }

    /// Whether it came out of an archive by need.
    pub(in crate::session) fn is_pulled(&self) -> bool {
        self.pulled.is_some()
    }

    pub(in crate::session) fn definition(&self, index: u32) -> Option<&Definition> {
        self.source.interface().definitions.get(index as usize)
    }
}

/// All units of a session. Places of removed units are reused.
#[derive(Default)]
pub(in crate::session) struct Units {
    slots: Vec<Unit>,
    free: Vec<UnitId>,
}

impl Units {
    pub(in crate::session) fn add(&mut self, unit: Unit) -> UnitId {
        if let Some(id) = self.free.pop() {
            self[id] = unit;
            return id;
        }
        let id = UnitId(u32::try_from(self.slots.len()).expect("fewer than 2^32 units"));
        self.slots.push(unit);
        id
    }

    /// Lets the unit's place be reused. What it held is returned, to be dropped without a lock.
    #[must_use]
    pub(in crate::session) fn free(&mut self, id: UnitId) -> Source {
        let unit = &mut self[id];
        let nothing = Source::Absolute(Arc::default(), Arc::from(""));
        let empty = Unit::new(nothing, unit.dylib, unit.tracker, (0, 0), None);
        let unit = std::mem::replace(unit, empty);
        self.free.push(id);
        unit.source
    }
}

// Ids are handed out by `add` and forgotten by their holders before `free`, so indexing is an
// internal invariant, never a matter of input.
impl Index<UnitId> for Units {
    type Output = Unit;
    fn index(&self, id: UnitId) -> &Unit {
        &self.slots[id.0 as usize]
    }
}

impl IndexMut<UnitId> for Units {
    fn index_mut(&mut self, id: UnitId) -> &mut Unit {
        &mut self.slots[id.0 as usize]
    }
}
