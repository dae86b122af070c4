//! COMDAT groups: sets of sections of which a dylib keeps one per signature.
//!
//! `.gnu.linkonce.KIND.NAME` sections, which compilers wrote before there were groups, are groups of
//! one section. The signature is the section's name, but where the section defines NAME itself: then it
//! is NAME, as that of a group that a newer compiler made for the same function or variable. Read-only
//! data of a function (`.gnu.linkonce.r.NAME`) goes with the function.

use std::collections::HashMap;

use jit_core::name::{NameId, NameTable, NameUses};
use object::LittleEndian as LE;
use object::elf::{
    self, GRP_COMDAT, SHF_ALLOC, SHF_GROUP, SHT_GROUP, STT_SECTION, SectionHeader64,
};
use object::read::elf::SectionHeader;

use super::view::{Place, View};
use orc_inputs::name_budget::NameBudget;

/// Stands for "in no group" in [`Groups::of_section`].
const NONE: u32 = u32::MAX;
/// Stands for "in a group that every object keeps" in [`Groups::of_section`].
const KEPT: u32 = u32::MAX - 1;

/// The COMDAT groups of an object.
#[derive(Debug, Default)]
pub(super) struct Groups {
    /// The name by which each group competes with those of other objects.
    pub signatures: Vec<NameId>,
    /// The group of each section; empty if there are no groups.
    of_section: Vec<u32>,
}

impl Groups {
    /// Reads the groups. `global_names` are the names of the symbols from the first global one on:
    /// a signature mostly is one of them, so it is not looked up again.
    ///
    /// # Errors
    /// When a group's section or signature is damaged.
    pub fn read(
        view: &View<'_>,
        names: &NameTable,
        uses: &mut NameUses,
        global_names: &[NameId],
    ) -> Result<Self, String> {
        let mut groups = Self::default();
        // Groups cannot overlap, so a sane object's fit into the file; the bound keeps reading
        // linear in a damaged one.
        let mut budget = view.bytes.len() as u64;
        let mut own_names = NameBudget::of_file(view.bytes.len());
        let mut linkonce = Vec::new();
        let mut members = Vec::new();
        for (index, section) in view.sections.iter().enumerate() {
            if section.sh_type(LE) == SHT_GROUP {
                budget = budget
                    .checked_sub(section.sh_size(LE))
                    .ok_or("the section groups are larger than the file")?;
                groups.add_group(view, uses, global_names, index as u32, &mut own_names)?;
            } else if section.sh_flags(LE).contains(SHF_GROUP | SHF_ALLOC) {
                members.push(index as u32);
            } else if is_linkonce(view, section) {
                linkonce.push(index as u32);
            }
        }
        own_names.check("section groups")?;
        let is_alone = |&&index: &&u32| {
            groups
                .of_section
                .get(index as usize)
                .is_none_or(|&g| g == NONE)
        };
        if let Some(&alone) = members.iter().find(is_alone) {
            return Err(format!(
                "the section {} ({alone}) says that it belongs to a group, but no group has it",
                view.section_text(alone)
            ));
        }
        linkonce.retain(|&section| groups.of(section).is_none());
        if !linkonce.is_empty() {
            groups.add_linkonce(view, names, uses, global_names, &linkonce);
        }
        Ok(groups)
    }

    /// The group that the section is a member of.
    pub fn of(&self, section: u32) -> Option<u32> {
        self.of_section
            .get(section as usize)
            .copied()
            .filter(|&group| group < KEPT)
    }

    fn add_group(
        &mut self,
        view: &View<'_>,
        uses: &mut NameUses,
        global_names: &[NameId],
        index: u32,
        own_names: &mut NameBudget,
    ) -> Result<(), String> {
        let section = &view.sections[index as usize];
        let damaged = |what: &str| format!("the section group {index} {what}");
        let Ok(Some((flags, members))) = section.group(LE, view.bytes) else {
            return Err(damaged("lies outside the file: it is truncated"));
        };
        if flags.0 & !GRP_COMDAT.0 != 0 {
            return Err(damaged(&format!("has the unknown flags {:#x}", flags.0)));
        }
        if self.of_section.is_empty() {
            self.of_section = vec![NONE; view.sections.len()];
        }
        let is_comdat = flags.contains(GRP_COMDAT);
        let global = section.sh_info(LE).checked_sub(view.first_global);
        let signature = match global.and_then(|at| global_names.get(at as usize)) {
            _ if !is_comdat => None,
            Some(&name) => Some(name),
            None => {
                let signature = signature(view, section);
                let signature = signature.ok_or_else(|| damaged("has no signature"))?;
                Some(uses.intern(own_names.take(|| signature)))
            }
        };
        let group = match is_comdat {
            true => self.signatures.len() as u32,
            false => KEPT,
        };
        self.signatures.extend(signature);
        for member in members {
            let member = member.get(LE) as usize;
            let slot = self.of_section.get_mut(member).filter(|_| member != 0);
            let slot = slot.ok_or_else(|| damaged("names a section that does not exist"))?;
            if view.sections[member].sh_type(LE) == SHT_GROUP {
                return Err(damaged("names a group as its member"));
            }
            if *slot == NONE {
                *slot = group;
            }
        }
        Ok(())
    }

    fn add_linkonce(
        &mut self,
        view: &View<'_>,
        names: &NameTable,
        uses: &mut NameUses,
        global_names: &[NameId],
        sections: &[u32],
    ) {
        let globals = (view.first_global..).zip(global_names);
        let place = |(index, &name): (u32, &NameId)| {
            let place = view.place(index, view.symbols.get(index as usize)?);
            Some((name, place.ok()?))
        };
        let places: HashMap<NameId, Place> = globals.filter_map(place).collect();
        if self.of_section.is_empty() {
            self.of_section = vec![NONE; view.sections.len()];
        }
        let mut of_functions = HashMap::new();
        let (data, others): (Vec<u32>, Vec<u32>) = sections
            .iter()
            .partition(|&&section| linkonce_name(view, section).0 == b"r");
        for section in others.into_iter().chain(data) {
            let (kind, name) = linkonce_name(view, section);
            let defined = names
                .find(name)
                .filter(|name| places.get(name) == Some(&Place::Section(section)));
            let own_group = self.signatures.len() as u32;
            let group = match of_functions.get(name) {
                Some(&function) if kind == b"r" => function,
                _ => own_group,
            };
            if group == own_group {
                let whole = || view.section_name(&view.sections[section as usize]);
                let signature = defined.unwrap_or_else(|| uses.intern(whole()));
                self.signatures.push(signature);
            }
            if kind == b"t" {
                of_functions.insert(name, group);
            }
            self.of_section[section as usize] = group;
        }
    }
}

/// Kind and name of `.gnu.linkonce.KIND.NAME`; empty where there is none.
fn linkonce_name<'a>(view: &View<'a>, section: u32) -> (&'a [u8], &'a [u8]) {
    let name = view.section_name(&view.sections[section as usize]);
    let rest = name.strip_prefix(LINKONCE).unwrap_or_default();
    match memchr::memchr(b'.', rest) {
        Some(at) => (&rest[..at], &rest[at + 1..]),
        None => (rest, &[]),
    }
}

const LINKONCE: &[u8] = b".gnu.linkonce.";

fn is_linkonce(view: &View<'_>, section: &SectionHeader64<LE>) -> bool {
    let flags = section.sh_flags(LE);
    flags.contains(SHF_ALLOC)
        && !flags.contains(elf::SHF_GROUP)
        && view.section_name_tail(section).starts_with(LINKONCE)
}

/// The name of the group's signature symbol; for a section symbol, which has none, its section's.
fn signature<'a>(view: &View<'a>, group: &SectionHeader64<LE>) -> Option<&'a [u8]> {
    let index = group.sh_info(LE);
    let symbol = view.symbols.get(index as usize).filter(|_| index != 0)?;
    let name = view.symbol_name(symbol)?;
    if !name.is_empty() || symbol.st_type() != STT_SECTION {
        return Some(name);
    }
    match view.place(index, symbol) {
        Ok(Place::Section(section)) => Some(view.section_name(&view.sections[section as usize])),
        _ => None,
    }
}
