//! Which undefined names an object refers to.
//!
//! A symbol table may list more than what is used: `.globl` of a name that does not appear again, the
//! `extern` lines of NASM. Linkers miss only what a relocation refers to.

use std::collections::HashMap;

use jit_core::name::NameId;
use object::LittleEndian as LE;
use object::elf::{Rel64, Rela64, SHT_CREL, SHT_REL, SHT_RELA, SectionHeader64};
use object::read::elf::SectionHeader;

use super::ElfObject;
use super::view::View;

/// For each name whether a relocation refers to it. What cannot be read refers to everything: the link
/// then says what is wrong with it.
pub(super) fn of(object: &ElfObject, names: &[NameId]) -> Vec<bool> {
    let Ok(view) = View::parse(object.input.bytes()) else {
        return vec![true; names.len()];
    };
    let places: HashMap<NameId, usize> = names.iter().copied().zip(0..).collect();
    // An object may have several symbols of one meaning.
    let mut place_of_symbol = HashMap::new();
    for (symbol, name) in (view.first_global..).zip(&object.global_names) {
        if let Some(place) = places.get(name) {
            place_of_symbol.insert(symbol, *place);
        }
    }
    let mut used = vec![false; names.len()];
    for section in view.sections {
        let read = each_symbol(&view, section, &mut |symbol| {
            if let Some(place) = place_of_symbol.get(&symbol) {
                used[*place] = true;
            }
        });
        if read.is_none() {
            return vec![true; names.len()];
        }
    }
    used
}

/// Calls `each` with the symbol of every relocation of a section; `None` if it cannot be read.
fn each_symbol(
    view: &View<'_>,
    section: &SectionHeader64<LE>,
    each: &mut dyn FnMut(u32),
) -> Option<()> {
    match section.sh_type(LE) {
        SHT_RELA => {
            let entries: &[Rela64<LE>] = section.data_as_array(LE, view.bytes).ok()?;
            entries
                .iter()
                .for_each(|r| each((r.r_info.get(LE) >> 32) as u32));
        }
        SHT_REL => {
            let entries: &[Rel64<LE>] = section.data_as_array(LE, view.bytes).ok()?;
            entries
                .iter()
                .for_each(|r| each((r.r_info.get(LE) >> 32) as u32));
        }
        SHT_CREL => {
            let (entries, _) = section.crel(LE, view.bytes).ok()??;
            for entry in entries {
                each(entry.ok()?.r_sym);
            }
        }
        _ => {}
    }
    Some(())
}
