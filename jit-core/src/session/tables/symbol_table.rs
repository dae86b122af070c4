//! The symbol table of a dylib: which definition of a name is in force.
//!
//! One map holds everything the dylib could offer under a name, so a lookup is one probe:
//! definitions of objects (linked or not), and the names of archive members (*lazy* entries).
//! Linkage rules are applied when an object is added, or when an archive's member is pulled:
//!
//! | new \ old  | strong    | common           | weak             | lazy |
//! |------------|-----------|------------------|------------------|------|
//! | **strong** | duplicate | wins¹            | wins¹            | wins |
//! | **common** | loses     | loses, size grows| wins¹            | wins |
//! | **weak**   | loses     | loses            | loses            | wins |
//!
//! ¹ unless the old one is linked already: its address is in use. Then a new strong definition is
//! an error for an object added by the client, and loses for an archive's member, as a library's
//! definition loses to one that the loader has bound before. Weak absolute symbols and weak reexports
//! give way all the same, as what a linker provides does: they are never linked themselves, and
//! code that was linked against them stays right.
//!
//! In a dylib that allows shadowing, a new strong definition wins over a linked one: what was linked before
//! keeps that, and it is in force again when the new one is removed.
//!
//! What overrides (a linker script's assignment) wins over everything, and where a dylib allows multiple
//! definitions, the first of several strong ones wins.
//!
//! Of COMDAT groups with one signature the first is kept, with all its definitions; definitions of
//! a lost group never compete.

use orc_shared::ExecutorAddr;

use crate::batch::UnitId;
use crate::name::NameId;
use crate::name_pages::NamePages;
use crate::object::{Definition, Linkage, ObjectInterface, Scope};

use crate::session::tables::ids::{BatchKey, IdSet, NameMap};
use crate::session::tables::unit::{Unit, UnitState, Units};

/// How a definition competes, without a common symbol's size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::session) enum Strength {
    Override,
    Strong,
    Common,
    Weak,
}

impl From<Linkage> for Strength {
    fn from(linkage: Linkage) -> Self {
        match linkage {
            Linkage::Override => Self::Override,
            Linkage::Strong => Self::Strong,
            Linkage::Weak => Self::Weak,
            Linkage::Common { .. } => Self::Common,
        }
    }
}

/// What a table knows of a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::session) struct Entry {
    /// The unit, or the rank of the archive among the dylib's providers.
    pub(in crate::session) owner: u32,
    /// The definition's index in the unit's interface, or the archive's member.
    pub(in crate::session) index: u32,
    pub(in crate::session) lazy: bool,
    pub(in crate::session) strength: Strength,
    /// The narrowest scope that any definition of the name asked for.
    pub(in crate::session) scope: Scope,
    /// Whether another definition lost to this one: it must come back if this one is removed.
    pub(in crate::session) contested: bool,
    /// Whether this definition replaced a lazy entry.
    pub(in crate::session) over_lazy: bool,
}

const _: () = assert!(size_of::<Entry>() <= 16, "entries are many");

impl Entry {
    pub(in crate::session) fn lazy(rank: u32, member: u32) -> Self {
        Self {
            owner: rank,
            index: member,
            lazy: true,
            strength: Strength::Weak,
            scope: Scope::Default,
            contested: false,
            over_lazy: false,
        }
    }

    fn defined(unit: UnitId, index: u32, definition: &Definition) -> Self {
        Self {
            owner: unit.0,
            index,
            lazy: false,
            strength: definition.linkage.into(),
            scope: definition.scope,
            contested: false,
            over_lazy: false,
        }
    }

    /// The defining unit; `None` for a lazy entry.
    pub(in crate::session) fn unit(&self) -> Option<UnitId> {
        (!self.lazy).then_some(UnitId(self.owner))
    }
}

/// The kept COMDAT group of a signature.
#[derive(Clone, Copy)]
struct KeptGroup {
    unit: UnitId,
    contested: bool,
}

/// Names of one dylib.
#[derive(Default)]
pub(in crate::session) struct SymbolTable {
    names: NamePages<Entry>,
    groups: NamePages<KeptGroup>,
    /// Largest size and alignment seen of each common symbol.
    commons: NameMap<(u64, u64)>,
    /// Of several strong definitions the first one wins (`-z muldefs`).
    pub(in crate::session) first_wins: bool,
    /// A strong definition wins over one that is linked.
    pub(in crate::session) newest_wins: bool,
    /// Units that another table has ([`Self::seed`]): what they lose is noted there.
    seeds: IdSet<UnitId>,
}

/// Why a definition cannot be taken in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::session) enum ClashKind {
    /// Two strong definitions.
    Strong,
    /// The weak or common definition in force is linked already.
    Linked,
    /// The common symbol in force is linked already, with a smaller size.
    CommonTooSmall,
}

/// A definition that cannot be taken in.
#[derive(Clone, Copy, Debug)]
pub(in crate::session) struct Clash {
    pub(in crate::session) name: NameId,
    /// Who defines it already.
    pub(in crate::session) first: UnitId,
    pub(in crate::session) kind: ClashKind,
}

/// What merging a unit changed beside the entries of its own names.
#[derive(Default)]
pub(in crate::session) struct Merged {
    pub(in crate::session) clashes: Vec<Clash>,
    /// Names whose former definition lost to the unit's.
    pub(in crate::session) displaced: Vec<NameId>,
}

/// What forgetting a unit leaves to repair.
#[derive(Default)]
pub(in crate::session) struct Forgotten {
    /// Another definition of some name or group had lost to the unit's.
    pub(in crate::session) contested: bool,
    /// Where weak and common definitions were that others had lost to, as far as they were linked.
    pub(in crate::session) places: NameMap<ExecutorAddr>,
    /// Names that were lazy before.
    pub(in crate::session) over_lazy: Vec<NameId>,
}

enum Outcome {
    New,
    Old,
    Clash(ClashKind),
}

impl SymbolTable {
    pub(in crate::session) fn get(&self, name: NameId) -> Option<&Entry> {
        self.names.get(name)
    }

    /// Every name the table knows.
    pub(in crate::session) fn iter(&self) -> impl Iterator<Item = (NameId, &Entry)> {
        self.names.iter()
    }

    /// Adds a lazy name unless the table has the name.
    pub(in crate::session) fn offer_lazy(&mut self, name: NameId, rank: u32, member: u32) {
        let place = self.names.place(name);
        let entry = place.get_or_insert(Entry::lazy(rank, member));
        if !entry.lazy {
            entry.over_lazy = true;
        }
    }

    /// Removes a lazy entry of this archive (and member, if given).
    pub(in crate::session) fn withdraw_lazy(
        &mut self,
        name: NameId,
        rank: u32,
        member: Option<u32>,
    ) {
        let ours = |e: &Entry| e.lazy && e.owner == rank && member.is_none_or(|m| m == e.index);
        if self.names.get(name).is_some_and(ours) {
            self.names.remove(name);
        }
    }

    /// The size and alignment to allocate for a common symbol.
    pub(in crate::session) fn common_size(&self, name: NameId) -> Option<(u64, u64)> {
        self.commons.get(&name).copied()
    }

    /// Makes `unit`'s definition `index` the one in force, whatever was there: a client's unit hands
    /// its names to the object it produced.
    pub(in crate::session) fn hand_over(&mut self, name: NameId, unit: UnitId, index: u32) {
        if let Some(entry) = self.names.get_mut(name) {
            entry.owner = unit.0;
            entry.index = index;
        }
    }

    /// Takes from another table what an object's definitions and groups compete with there, except for what
    /// some units define.
    pub(in crate::session) fn seed(
        &mut self,
        from: &Self,
        interface: &ObjectInterface,
        except: &IdSet<UnitId>,
    ) {
        self.first_wins = from.first_wins;
        let stays = |unit: &UnitId| !except.contains(unit);
        for definition in &interface.definitions {
            let name = definition.name;
            let Some(entry) = from.names.get(name) else {
                continue;
            };
            if entry.unit().is_none_or(|unit| stays(&unit)) {
                *self.names.place(name) = Some(*entry);
                self.seeds.extend(entry.unit());
                let size = from.commons.get(&name).map(|size| (name, *size));
                self.commons.extend(size);
            }
        }
        for signature in &interface.groups {
            if let Some(kept) = from.groups.get(*signature).filter(|kept| stays(&kept.unit)) {
                *self.groups.place(*signature) = Some(*kept);
            }
        }
    }

    /// Drops one name of a unit, which nobody else has defined. Returns what was known of it.
    pub(in crate::session) fn forget_name(&mut self, unit: UnitId, name: NameId) -> Option<Entry> {
        let entry = self.names.get(name).copied();
        let entry = entry.filter(|entry| entry.unit() == Some(unit))?;
        self.names.remove(name);
        Some(entry)
    }

    /// Takes back what [`Self::forget_name`] has dropped.
    pub(in crate::session) fn remember_name(&mut self, name: NameId, entry: Entry) {
        *self.names.place(name) = Some(entry);
    }

    /// Applies the linkage rules to all definitions and groups of `id`, and notes in the units which
    /// definitions lost. May be repeated for a unit: what is in force stays. If there is a clash,
    /// nothing is changed. `forming` is the batch that pulls the unit, if an archive member is
    /// pulled: what that batch claimed is not linked yet.
    pub(in crate::session) fn merge(
        &mut self,
        units: &mut Units,
        id: UnitId,
        forming: Option<BatchKey>,
    ) -> Merged {
        let source = units[id].source.clone();
        let interface = source.interface();
        let mut merge = Merging {
            table: self,
            units,
            id,
            forming,
            lost_groups: Vec::new(),
            lost: Vec::new(),
            undo: Vec::new(),
            new_groups: Vec::new(),
            new_losers: Vec::new(),
            has_commons: false,
            merged: Merged::default(),
        };
        for (group, signature) in (0u32..).zip(&interface.groups) {
            merge.group(group, *signature);
        }
        for (index, definition) in (0u32..).zip(&interface.definitions) {
            merge.definition(index, definition);
        }
        merge.finish()
    }

    /// Brings a linked unit's lost definition of a name into force that nothing defines any more. Whether
    /// there was none.
    pub(in crate::session) fn take_over(
        &mut self,
        unit: UnitId,
        index: u32,
        definition: &Definition,
    ) -> bool {
        let place = self.names.place(definition.name);
        let is_free = place.is_none_or(|entry| entry.lazy);
        if is_free {
            *place = Some(Entry {
                contested: true,
                over_lazy: place.is_some(),
                ..Entry::defined(unit, index, definition)
            });
        }
        is_free
    }

    /// Drops all of a unit's names and groups.
    pub(in crate::session) fn forget(&mut self, units: &Units, id: UnitId) -> Forgotten {
        let interface = units[id].source.interface();
        let mut forgotten = Forgotten::default();
        let mut contested_groups = Vec::new();
        for (group, signature) in (0u32..).zip(&interface.groups) {
            if let Some(kept) = self.groups.get(*signature).filter(|g| g.unit == id) {
                if kept.contested {
                    contested_groups.push(group);
                }
                self.groups.remove(*signature);
            }
        }
        forgotten.contested = !contested_groups.is_empty();
        for (index, definition) in interface.definitions.iter().enumerate() {
            let ours = |e: &&mut Entry| e.unit() == Some(id);
            if let Some(entry) = self.names.get_mut(definition.name).filter(ours) {
                forgotten.contested |= entry.contested;
                let in_group = |group| contested_groups.binary_search(&group).is_ok();
                let contested = entry.contested || definition.group.is_some_and(in_group);
                if contested && entry.strength != Strength::Strong {
                    let place = units[id].addresses.get(index).copied();
                    forgotten
                        .places
                        .extend(place.map(|place| (definition.name, place)));
                }
                if entry.over_lazy {
                    forgotten.over_lazy.push(definition.name);
                }
                if !self.commons.is_empty() {
                    // A definition that has won over a common one may be among them.
                    self.commons.remove(&definition.name);
                }
                self.names.remove(definition.name);
            }
        }
        forgotten
    }
}

/// One unit's definitions on their way into a table.
struct Merging<'a> {
    table: &'a mut SymbolTable,
    units: &'a mut Units,
    id: UnitId,
    forming: Option<BatchKey>,
    lost_groups: Vec<u32>,
    lost: Vec<u32>,
    /// Former entries, in the order they were replaced.
    undo: Vec<(NameId, Option<Entry>)>,
    new_groups: Vec<NameId>,
    /// Definitions that lost, and whether they may: if not, linking their unit is an error.
    new_losers: Vec<(UnitId, u32, bool)>,
    has_commons: bool,
    merged: Merged,
}

impl Merging<'_> {
    fn group(&mut self, group: u32, signature: NameId) {
        let place = self.table.groups.place(signature);
        let kept = place.get_or_insert_with(|| {
            self.new_groups.push(signature);
            KeptGroup {
                unit: self.id,
                contested: false,
            }
        });
        if kept.unit != self.id {
            kept.contested = true;
            self.lost_groups.push(group);
        }
    }

    fn definition(&mut self, index: u32, definition: &Definition) {
        if definition.scope == Scope::Local {
            return;
        }
        if let Some(group) = definition.group
            && self.lost_groups.binary_search(&group).is_ok()
        {
            self.lost.push(index);
            return;
        }
        let new = Entry::defined(self.id, index, definition);
        self.has_commons |= new.strength == Strength::Common;
        let Some(old) = self.table.names.get(definition.name).copied() else {
            self.replace(definition, None, new);
            return;
        };
        let Some(old_unit) = old.unit() else {
            let over_lazy = Entry {
                over_lazy: true,
                ..new
            };
            self.replace(definition, Some(old), over_lazy);
            return;
        };
        if old_unit != self.id {
            self.compete(definition, old_unit, old, new);
        }
    }

    fn compete(&mut self, definition: &Definition, old_unit: UnitId, old: Entry, new: Entry) {
        let outcome = match self.contest(&self.units[old_unit], old.strength, new.strength) {
            Outcome::Old => self.keep_common(definition, old_unit, old.strength),
            other => other,
        };
        let merged = Entry {
            scope: old.scope.max(new.scope),
            contested: true,
            over_lazy: old.over_lazy,
            ..old
        };
        match outcome {
            Outcome::Old => {
                self.lost.push(new.index);
                self.undo.push((definition.name, Some(old)));
                *self.table.names.place(definition.name) = Some(merged);
            }
            Outcome::New => {
                let allowed = new.strength == Strength::Override || self.table.newest_wins;
                self.new_losers.push((old_unit, old.index, allowed));
                self.merged.displaced.push(definition.name);
                let entry = Entry {
                    owner: new.owner,
                    index: new.index,
                    strength: new.strength,
                    ..merged
                };
                self.replace(definition, Some(old), entry);
            }
            Outcome::Clash(kind) => self.merged.clashes.push(Clash {
                name: definition.name,
                first: old_unit,
                kind,
            }),
        }
    }

    fn contest(&self, old_unit: &Unit, old: Strength, new: Strength) -> Outcome {
        let free = match old_unit.state {
            UnitState::NeverSearched => true,
            UnitState::InBatch(batch) => Some(batch) == self.forming,
            UnitState::Ready => old_unit.source.is_names_alone(),
        };
        let pulled = self.units[self.id].is_pulled();
        match (new, old) {
            (Strength::Override, _) if free => Outcome::New,
            (Strength::Override, _) => Outcome::Clash(ClashKind::Linked),
            (_, Strength::Override) => Outcome::Old,
            (Strength::Strong, _) if self.table.first_wins && old == Strength::Strong => {
                Outcome::Old
            }
            (Strength::Strong, _)
                if self.table.newest_wins && !pulled && old_unit.state == UnitState::Ready =>
            {
                Outcome::New
            }
            // A member that a failed lookup pulled is not part of anything yet.
            (Strength::Strong, Strength::Strong)
                if old_unit.is_pulled() && old_unit.state == UnitState::NeverSearched =>
            {
                Outcome::New
            }
            (Strength::Strong, Strength::Strong) => Outcome::Clash(ClashKind::Strong),
            (Strength::Strong, _) | (Strength::Common, Strength::Weak) if free => Outcome::New,
            (Strength::Strong, _) if !pulled => Outcome::Clash(ClashKind::Linked),
            _ => Outcome::Old,
        }
    }

    /// A common symbol that loses to another common one makes that one as large as itself.
    fn keep_common(&mut self, new: &Definition, old_unit: UnitId, old: Strength) -> Outcome {
        let Linkage::Common { size, align } = new.linkage else {
            return Outcome::Old;
        };
        if old != Strength::Common {
            return Outcome::Old;
        }
        let kept = self.table.commons.entry(new.name).or_insert((size, align));
        let linked = match self.units[old_unit].state {
            UnitState::NeverSearched => false,
            UnitState::InBatch(batch) => Some(batch) != self.forming,
            UnitState::Ready => true,
        };
        if linked && (size > kept.0 || align > kept.1) {
            return Outcome::Clash(ClashKind::CommonTooSmall);
        }
        *kept = (kept.0.max(size), kept.1.max(align));
        Outcome::Old
    }

    fn replace(&mut self, definition: &Definition, old: Option<Entry>, new: Entry) {
        if let Linkage::Common { size, align } = definition.linkage {
            let kept = self.table.commons.entry(definition.name).or_default();
            *kept = (kept.0.max(size), kept.1.max(align));
        }
        self.undo.push((definition.name, old));
        *self.table.names.place(definition.name) = Some(new);
    }

    fn finish(self) -> Merged {
        if !self.merged.clashes.is_empty() {
            // Reversed, because a name may have been replaced twice by a malformed object.
            for (name, old) in self.undo.into_iter().rev() {
                if old.is_none_or(|old| old.strength != Strength::Common) {
                    self.table.commons.remove(&name);
                }
                *self.table.names.place(name) = old;
            }
            for signature in self.new_groups {
                self.table.groups.remove(signature);
            }
            return self.merged;
        }
        for (loser, index, allowed) in self.new_losers {
            if self.table.seeds.contains(&loser) {
                continue;
            }
            let strong = self.units[loser].source.interface().definitions[index as usize].linkage
                == Linkage::Strong
                && !allowed;
            let loser = &mut self.units[loser];
            loser.lost.push(index);
            loser.lost_strong |= strong;
        }
        let unit = &mut self.units[self.id];
        unit.lost = self.lost;
        unit.lost_groups = self.lost_groups;
        unit.has_commons = self.has_commons;
        self.merged
    }
}
