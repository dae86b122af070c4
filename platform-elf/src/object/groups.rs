//! COMDAT groups: sets of sections of which a dylib keeps one per signature.
//!
//! `.gnu.linkonce.*` sections, which compilers wrote before there were groups, are groups of one
//! section whose signature is the section's name.

use jit_core::name::{NameId, NameTable};
use object::LittleEndian as LE;
use object::elf::{self, GRP_COMDAT, SHF_ALLOC, SHT_GROUP, STT_SECTION, SectionHeader64};
use object::read::elf::SectionHeader;

use super::view::{Place, View};

/// Stands for "in no group" in [`Groups::of_section`].
const NONE: u32 = u32::MAX;

/// The COMDAT groups of an object.
#[derive(Debug, Default)]
pub(super) struct Groups {
    /// The groups' signatures.
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
        global_names: &[NameId],
    ) -> Result<Self, String> {
        let mut groups = Self::default();
        // Groups cannot overlap, so a sane object's fit into the file; the bound keeps reading
        // linear in a damaged one.
        let mut budget = view.bytes.len() as u64;
        for (index, section) in view.sections.iter().enumerate() {
            if section.sh_type(LE) == SHT_GROUP {
                budget = budget
                    .checked_sub(section.sh_size(LE))
                    .ok_or("the section groups are larger than the file")?;
                groups.add_group(view, names, global_names, index as u32, section)?;
            } else if is_linkonce(view, section) && groups.of(index as u32).is_none() {
                let signature = names.intern(view.section_name(section));
                groups.add_member(view, index as u32, signature)?;
            }
        }
        Ok(groups)
    }

    /// The group that the section is a member of.
    pub fn of(&self, section: u32) -> Option<u32> {
        self.of_section
            .get(section as usize)
            .copied()
            .filter(|&group| group != NONE)
    }

    fn add_group(
        &mut self,
        view: &View<'_>,
        names: &NameTable,
        global_names: &[NameId],
        index: u32,
        section: &SectionHeader64<LE>,
    ) -> Result<(), String> {
        let damaged = |what: &str| format!("the section group {index} {what}");
        let Ok(Some((flags, members))) = section.group(LE, view.bytes) else {
            return Err(damaged("lies outside the file: it is truncated"));
        };
        if !flags.contains(GRP_COMDAT) {
            return Ok(());
        }
        let global = section.sh_info(LE).checked_sub(view.first_global);
        let signature = match global.and_then(|at| global_names.get(at as usize)) {
            Some(&name) => name,
            None => {
                names.intern(signature(view, section).ok_or_else(|| damaged("has no signature"))?)
            }
        };
        let group = self.signatures.len() as u32;
        self.signatures.push(signature);
        if self.of_section.is_empty() {
            self.of_section = vec![NONE; view.sections.len()];
        }
        for member in members {
            let slot = self
                .of_section
                .get_mut(member.get(LE) as usize)
                .ok_or_else(|| damaged("names a section that does not exist"))?;
            if *slot == NONE {
                *slot = group;
            }
        }
        Ok(())
    }

    fn add_member(
        &mut self,
        view: &View<'_>,
        section: u32,
        signature: NameId,
    ) -> Result<(), String> {
        if self.of_section.is_empty() {
            self.of_section = vec![NONE; view.sections.len()];
        }
        self.of_section[section as usize] = self.signatures.len() as u32;
        self.signatures.push(signature);
        Ok(())
    }
}

fn is_linkonce(view: &View<'_>, section: &SectionHeader64<LE>) -> bool {
    let flags = section.sh_flags(LE);
    flags.contains(SHF_ALLOC)
        && !flags.contains(elf::SHF_GROUP)
        && view
            .section_name_tail(section)
            .starts_with(b".gnu.linkonce.")
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
