//! Whether an object can be linked when one of its functions is first called.
//!
//! What other objects can see of it without calling it keeps it from waiting: contributions to sections that
//! are gone through from end to end, and code that has to lie where all of the program does.

use jit_core::cpu::{Cpu, ForCpu, Kinds as _};
use object::LittleEndian as LE;
use object::elf::{self, RelocationType, SHT_CREL, SHT_REL, SHT_RELA, SectionHeader64};
use object::read::elf::SectionHeader as _;

use super::ElfObject;
use super::view::View;
use crate::machine::Meaning;

/// Whether nothing of the object is missed before a function of it is called.
pub(super) fn of(object: &ElfObject) -> bool {
    if object.interface.has_initializers {
        return false;
    }
    let Ok(view) = View::parse(object.input.bytes()) else {
        return false;
    };
    let can_wait = |section: &SectionHeader64<LE>| match section.sh_type(LE) {
        SHT_RELA | SHT_REL | SHT_CREL => !needs_low_place(&view, section),
        _ => !is_seen_by_others(&view, section),
    };
    view.sections.iter().all(can_wait)
}

/// Whether the object defines an indirect function, whose resolver runs while it is linked.
pub(super) fn runs_early(object: &ElfObject) -> bool {
    let view = View::parse(object.input.bytes());
    view.is_ok_and(|view| {
        let is_indirect = |symbol: &elf::Sym64<LE>| symbol.st_type() == elf::STT_GNU_IFUNC;
        view.symbols.iter().any(is_indirect)
    })
}

/// Whether a section is a part of something that is found without a symbol of the object: by the bounds of
/// its output section, by the loader, or by tools that look at all of the program.
fn is_seen_by_others(view: &View<'_>, section: &SectionHeader64<LE>) -> bool {
    let name = view.section_name(section);
    let flags = section.sh_flags(LE);
    if name == b".note.GNU-stack" {
        return flags.contains(elf::SHF_EXECINSTR);
    }
    if !flags.contains(elf::SHF_ALLOC) {
        return false;
    }
    flags.contains(elf::SHF_GNU_RETAIN) || is_c_identifier(name)
}

/// Whether `__start_NAME` and `__stop_NAME` are names that C can say.
fn is_c_identifier(name: &[u8]) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    let all = |byte: &u8| is_letter(*byte) || byte.is_ascii_digit();
    name.first().is_some_and(|first| is_letter(*first)) && name.iter().all(all)
}

/// Whether a relocation holds an absolute address in fewer bits than any address has: the object, and all
/// that it refers to, has to lie low then. So for what cannot be read: it waits for no call, and the link says
/// what is wrong.
fn needs_low_place(view: &View<'_>, section: &SectionHeader64<LE>) -> bool {
    let target = view.sections.get(section.sh_info(LE) as usize);
    if target.is_some_and(|target| !target.sh_flags(LE).contains(elf::SHF_ALLOC)) {
        return false;
    }
    let is_low = |number: u32| {
        let meaning = view.machine.meaning(RelocationType(number));
        view.machine.architecture.run(NeedsLow { meaning })
    };
    match section.sh_type(LE) {
        SHT_RELA => {
            let entries: Result<&[elf::Rela64<LE>], _> = section.data_as_array(LE, view.bytes);
            let any_low = |all: &[elf::Rela64<LE>]| {
                let mut numbers = all.iter().map(|r| r.r_info.get(LE) as u32);
                numbers.any(is_low)
            };
            entries.map_or(true, any_low)
        }
        _ => true,
    }
}

/// Asks a CPU whether a relocation needs a low place.
struct NeedsLow {
    meaning: Meaning,
}

impl ForCpu for NeedsLow {
    type Output = bool;

    fn run<C: Cpu>(self) -> bool {
        match self.meaning {
            Meaning::Edge(kind, _) => {
                C::Kind::from_edge(kind).is_some_and(|kind| kind.facts().needs_low)
            }
            Meaning::Ignored | Meaning::Unsupported => false,
        }
    }
}
