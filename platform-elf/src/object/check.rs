//! Whether an object's section headers make sense.
//!
//! Reading what a link needs does not look at everything that is there. So that nothing is lost quietly
//! (the relocations of a section, a group, a definition), all headers are checked once, as GNU ld and lld do.

use object::LittleEndian as LE;
use object::elf::{
    self, Rel64, Rela64, SHF_ALLOC, SHF_LINK_ORDER, SHF_OS_NONCONFORMING, SHT_GROUP, SHT_NOBITS,
    SHT_NULL, SHT_REL, SHT_RELA, SHT_SYMTAB, SHT_SYMTAB_SHNDX, SectionHeader64, SectionType, Sym64,
};
use object::read::elf::SectionHeader;

use super::view::View;
use crate::machine::Machine;
use orc_inputs::name_budget::NameBudget;

/// Checks every section header.
///
/// # Errors
/// What is wrong, and with which section.
pub(super) fn check(view: &View<'_>) -> Result<(), String> {
    // The null header holds what has no place in the file's header.
    for (index, section) in (0u32..).zip(view.sections).skip(1) {
        if let Some(what) = fault(view, section) {
            return Err(format!("the section {} {what}", described(view, index)));
        }
    }
    check_names(view)
}

/// Whether the sections' names are as long as names are.
fn check_names(view: &View<'_>) -> Result<(), String> {
    let mut budget = NameBudget::of_file(view.bytes.len());
    if !budget.is_enough_for(view.sections.len(), view.section_names_size()) {
        for section in view.sections {
            budget.take(|| view.section_name(section));
        }
    }
    budget.check("sections")
}

fn described(view: &View<'_>, index: u32) -> String {
    let number = format!("section {index}");
    match view.section_text(index) {
        name if name == number => index.to_string(),
        name => format!("{name} ({index})"),
    }
}

/// What is wrong with a section, as it continues "the section".
fn fault(view: &View<'_>, section: &SectionHeader64<LE>) -> Option<String> {
    let kind = section.sh_type(LE);
    let flags = section.sh_flags(LE);
    let count = view.sections.len();
    if kind == SHT_NULL {
        return None;
    }
    if view.section_name_tail(section).is_empty() {
        return Some(format!(
            "has its name at {:#x}, beyond the end of the names' table",
            section.sh_name(LE)
        ));
    }
    if section.sh_link(LE) as usize >= count {
        return Some(format!(
            "is linked to section {}, but there are {count}",
            section.sh_link(LE)
        ));
    }
    if !is_known(view.machine, kind, flags.contains(SHF_ALLOC)) {
        return Some(format!("has the unknown type {:#x}", kind.0));
    }
    if flags.contains(SHF_OS_NONCONFORMING) && kind.0 >= elf::SHT_LOOS {
        return Some(format!(
            "has the type {:#x}, and says that linkers must know it",
            kind.0
        ));
    }
    if flags.contains(SHF_LINK_ORDER)
        && let Some(linked) = view.sections.get(section.sh_link(LE) as usize)
        && is_table(linked.sh_type(LE))
        && section.sh_link(LE) != 0
        && !is_table(kind)
    {
        return Some("describes another section that holds no content".into());
    }
    if kind != SHT_NOBITS && section.data(LE, view.bytes).is_err() {
        return Some("lies outside the file: it is truncated".into());
    }
    fault_of_table(view, section)
}

/// What is wrong with a section that tells of others.
fn fault_of_table(view: &View<'_>, section: &SectionHeader64<LE>) -> Option<String> {
    let kind = section.sh_type(LE);
    let entry = match kind {
        SHT_SYMTAB => size_of::<Sym64<LE>>(),
        SHT_RELA => size_of::<Rela64<LE>>(),
        SHT_REL => size_of::<Rel64<LE>>(),
        SHT_GROUP | SHT_SYMTAB_SHNDX => size_of::<u32>(),
        _ => 0,
    } as u64;
    let entries = section.sh_entsize(LE);
    if entry != 0 && entries != entry {
        return Some(format!("has entries of {entries} bytes instead of {entry}"));
    }
    if kind == SHT_GROUP && section.sh_link(LE) != view.symtab {
        return Some("refers to another symbol table than the object's".into());
    }
    if !matches!(kind, SHT_REL | SHT_RELA | elf::SHT_CREL) || section.sh_size(LE) == 0 {
        return None;
    }
    let target = section.sh_info(LE);
    match view.sections.get(target as usize) {
        None => Some(format!(
            "holds relocations for section {target}, but there are {}",
            view.sections.len()
        )),
        Some(relocated) if is_table(relocated.sh_type(LE)) => Some(format!(
            "holds relocations for section {target}, which has no content"
        )),
        Some(_) => None,
    }
}

/// Whether a section of this type tells of others, or of nothing: no symbol can be defined in it, and
/// nothing in it be relocated.
pub(super) fn is_table(kind: SectionType) -> bool {
    matches!(
        kind,
        SHT_NULL
            | SHT_SYMTAB
            | elf::SHT_STRTAB
            | SHT_RELA
            | SHT_REL
            | elf::SHT_CREL
            | SHT_GROUP
            | SHT_SYMTAB_SHNDX
    )
}

/// Whether a linker can treat a section of this type rightly. Operating systems' types are those of ordinary
/// content; applications may mark with theirs what is not loaded.
fn is_known(machine: &Machine, kind: SectionType, is_loaded: bool) -> bool {
    match kind.0 {
        0..=11 | 14..=19 => true,
        number if number >= elf::SHT_LOUSER => !is_loaded,
        number if number >= elf::SHT_LOPROC => machine.has_section_type(kind, is_loaded),
        number if number >= elf::SHT_LOOS => true,
        _ => kind == elf::SHT_CREL,
    }
}
