//! Combines objects into one with a section per kind, as a linker does with `-r`.
//!
//! Names that are not entry points disappear: a relocation against one becomes one against the
//! section it is in, with the distance added. Only what goes through the GOT keeps a (local) symbol,
//! as its addend counts from the GOT entry. Distances within a section, which most calls are, are
//! final: they are written and need no relocation.

use std::collections::HashMap;

use object::elf;
use object::read::elf::{ElfSection64, ElfSymbol64};
use object::read::{Object as _, ObjectSection, ObjectSymbol, RelocationTarget};
use object::write::{self, SectionId, StandardSegment, SymbolId, SymbolSection};
use object::{
    BinaryFormat, Endianness, RelocationFlags, SectionFlags, SectionIndex, SectionKind,
    SymbolFlags, SymbolScope,
};

use crate::ArchiveError;
use crate::members::Member;
use crate::relocations::{self, Reach, Relocations};

/// No section of the runtime is aligned beyond a page.
const ALIGN_MAX: u64 = 4096;

/// Nor can it be this large, in bytes: a larger size is a damaged one. It keeps sums of offsets and
/// sizes far from overflow.
const SECTION_SIZE_MAX: u64 = 1 << 30;

/// Where a piece of an input went.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Place {
    section: SectionId,
    offset: u64,
}

/// What a relocation leads to.
enum Target<'a> {
    /// A place in the output.
    Place(Place),
    /// A name that the output leaves to others.
    Undefined { name: &'a [u8], weak: bool },
}

struct Combiner<'a> {
    relocations: &'static Relocations,
    is_entry_point: fn(&[u8]) -> bool,
    output: write::Object<'static>,
    sections: HashMap<&'static str, SectionId>,
    /// Where each input section went: by member and section.
    places: HashMap<(usize, SectionIndex), Place>,
    /// Global definitions of all members.
    definitions: HashMap<&'a [u8], Place>,
    undefined: HashMap<&'a [u8], SymbolId>,
    /// Symbols for places that are reached through the GOT.
    got_symbols: HashMap<Place, SymbolId>,
}

/// One ELF object made of `members`, which are of one CPU.
pub fn combine(
    members: &[Member<'_>],
    is_entry_point: fn(&[u8]) -> bool,
) -> Result<Vec<u8>, ArchiveError> {
    let first = members.first().ok_or(ArchiveError::NoEntryPoint)?;
    let architecture = first.elf.architecture();
    let relocations = relocations::of(architecture)
        .ok_or_else(|| unsupported(first, "", "only x86-64 and AArch64 objects can be packed"))?;
    let mut combiner = Combiner {
        relocations,
        is_entry_point,
        output: write::Object::new(BinaryFormat::Elf, architecture, object::Endianness::Little),
        sections: HashMap::new(),
        places: HashMap::new(),
        definitions: HashMap::new(),
        undefined: HashMap::new(),
        got_symbols: HashMap::new(),
    };
    for (index, member) in members.iter().enumerate() {
        if member.elf.architecture() != architecture {
            return Err(unsupported(member, "", "an object for another CPU"));
        }
        combiner.place_sections(index, member)?;
    }
    for (index, member) in members.iter().enumerate() {
        combiner.define_symbols(index, member)?;
    }
    for (index, member) in members.iter().enumerate() {
        for section in member.elf.sections() {
            if let Some(&place) = combiner.places.get(&(index, section.index())) {
                combiner.copy_relocations(index, member, &section, place)?;
            }
        }
    }
    // Without this section, linkers take the object for one that wants an executable stack.
    let stack_note = b".note.GNU-stack".to_vec();
    let none = Vec::new();
    combiner
        .output
        .add_section(none, stack_note, SectionKind::Other);
    Ok(combiner.output.write()?)
}

impl<'a> Combiner<'a> {
    /// Appends each section of a member to the output section of its kind.
    fn place_sections(&mut self, index: usize, member: &Member<'a>) -> Result<(), ArchiveError> {
        for section in member.elf.sections() {
            let Some((name, kind)) = output_section(member, &section)? else {
                continue;
            };
            let id = self.output_section_id(name, kind);
            let (size, align) = (section.size(), section.align().max(1));
            if !align.is_power_of_two() || align > ALIGN_MAX || size > SECTION_SIZE_MAX {
                return Err(unsupported(member, name, "an absurd size or alignment"));
            }
            let offset = if kind == SectionKind::UninitializedData {
                self.output.append_section_bss(id, size, align)
            } else {
                let data = section.data().map_err(|error| member.damaged(error))?;
                self.output.append_section_data(id, data, align)
            };
            let place = Place {
                section: id,
                offset,
            };
            self.places.insert((index, section.index()), place);
        }
        Ok(())
    }

    fn output_section_id(&mut self, name: &'static str, kind: SectionKind) -> SectionId {
        let output = &mut self.output;
        *self.sections.entry(name).or_insert_with(|| {
            let segment = output.segment_name(StandardSegment::Data).to_vec();
            let id = output.add_section(segment, name.as_bytes().to_vec(), kind);
            if name == ".eh_frame" {
                // By name, some linkers take this type and others insist on plain content.
                output.section_mut(id).flags = SectionFlags::Elf {
                    sh_type: elf::SHT_PROGBITS,
                    sh_flags: elf::SHF_ALLOC,
                };
            }
            id
        })
    }

    /// Collects a member's global definitions, and defines the entry points in the output.
    fn define_symbols(&mut self, index: usize, member: &Member<'a>) -> Result<(), ArchiveError> {
        for symbol in member.elf.symbols() {
            if !symbol.is_global() || !symbol.is_definition() {
                continue;
            }
            let name = symbol.name_bytes().map_err(|error| member.damaged(error))?;
            let Some(place) = self.place_of(index, &symbol) else {
                continue;
            };
            // Of several definitions, all but the first are weak copies of it.
            if self.definitions.insert(name, place).is_none() && (self.is_entry_point)(name) {
                self.output.add_symbol(write::Symbol {
                    name: name.to_vec(),
                    value: place.offset,
                    size: symbol.size(),
                    kind: symbol.kind(),
                    scope: SymbolScope::Dynamic,
                    weak: false,
                    section: SymbolSection::Section(place.section),
                    flags: SymbolFlags::None,
                });
            }
        }
        Ok(())
    }

    fn place_of(&self, index: usize, symbol: &ElfSymbol64<'a, '_, Endianness>) -> Option<Place> {
        let section = symbol.section_index()?;
        let place = self.places.get(&(index, section))?;
        Some(Place {
            section: place.section,
            offset: place.offset.checked_add(symbol.address())?,
        })
    }

    fn copy_relocations(
        &mut self,
        index: usize,
        member: &Member<'a>,
        section: &ElfSection64<'a, '_, Endianness>,
        place: Place,
    ) -> Result<(), ArchiveError> {
        let section_name = section.name().unwrap_or_default();
        for (offset, relocation) in section.relocations() {
            let RelocationFlags::Elf { r_type } = relocation.flags() else {
                return Err(unsupported(
                    member,
                    section_name,
                    "a relocation that is not ELF's",
                ));
            };
            let target = self.target(index, member, relocation.target())?;
            let reach = self.relocations.reach(r_type).ok_or_else(|| {
                let what = format!("relocation {r_type:?} at {offset:#x} cannot be linked by all");
                unsupported(member, section_name, &what)
            })?;
            if offset >= section.size() {
                return Err(unsupported(
                    member,
                    section_name,
                    "a relocation outside the section",
                ));
            }
            let at = Place {
                offset: place.offset + offset,
                ..place
            };
            let (symbol, addend, r_type) = match (target, reach) {
                (Target::Undefined { name, weak }, _) => {
                    (self.undefined(name, weak), relocation.addend(), r_type)
                }
                (Target::Place(to), Reach::Got) => {
                    (self.got_symbol(to), relocation.addend(), r_type)
                }
                (Target::Place(to), Reach::Direct(r_type)) => {
                    let addend = relocation.addend().wrapping_add_unsigned(to.offset);
                    if r_type == self.relocations.distance && self.write_distance(at, to, addend) {
                        continue;
                    }
                    (self.output.section_symbol(to.section), addend, r_type)
                }
            };
            let copied = write::Relocation {
                offset: at.offset,
                symbol,
                addend,
                flags: RelocationFlags::Elf { r_type },
            };
            self.output.add_relocation(place.section, copied)?;
        }
        Ok(())
    }

    /// Writes a 32-bit distance (`S + A - P`, where `S` is the section's start) if both ends are in
    /// one section.
    fn write_distance(&mut self, at: Place, to: Place, addend: i64) -> bool {
        if at.section != to.section {
            return false;
        }
        let Ok(distance) = i32::try_from(addend.wrapping_sub_unsigned(at.offset)) else {
            return false;
        };
        let data = self.output.section_mut(at.section).data_mut();
        let field = usize::try_from(at.offset)
            .ok()
            .and_then(|start| data.get_mut(start..));
        match field.and_then(|field| field.first_chunk_mut()) {
            Some(field) => {
                *field = distance.to_le_bytes();
                true
            }
            None => false,
        }
    }

    fn target(
        &self,
        index: usize,
        member: &Member<'a>,
        target: RelocationTarget,
    ) -> Result<Target<'a>, ArchiveError> {
        let RelocationTarget::Symbol(symbol) = target else {
            return Err(unsupported(member, "", "a relocation without a symbol"));
        };
        let symbol = member
            .elf
            .symbol_by_index(symbol)
            .map_err(|error| member.damaged(error))?;
        if let Some(place) = self.place_of(index, &symbol) {
            return Ok(Target::Place(place));
        }
        let name = symbol.name_bytes().map_err(|error| member.damaged(error))?;
        Ok(match self.definitions.get(name) {
            Some(&place) => Target::Place(place),
            None => Target::Undefined {
                name,
                weak: symbol.is_weak(),
            },
        })
    }

    fn undefined(&mut self, name: &'a [u8], weak: bool) -> SymbolId {
        let output = &mut self.output;
        *self.undefined.entry(name).or_insert_with(|| {
            output.add_symbol(write::Symbol {
                name: name.to_vec(),
                value: 0,
                size: 0,
                kind: object::SymbolKind::Unknown,
                scope: SymbolScope::Unknown,
                weak,
                section: SymbolSection::Undefined,
                flags: SymbolFlags::None,
            })
        })
    }

    fn got_symbol(&mut self, place: Place) -> SymbolId {
        let output = &mut self.output;
        let count = self.got_symbols.len();
        *self.got_symbols.entry(place).or_insert_with(|| {
            output.add_symbol(write::Symbol {
                name: format!(".Lgot{count}").into_bytes(),
                value: place.offset,
                size: 0,
                kind: object::SymbolKind::Label,
                scope: SymbolScope::Compilation,
                weak: false,
                section: SymbolSection::Section(place.section),
                flags: SymbolFlags::None,
            })
        })
    }
}

/// The output section that an input section goes to; nothing for what is not loaded.
fn output_section(
    member: &Member<'_>,
    section: &ElfSection64<'_, '_, Endianness>,
) -> Result<Option<(&'static str, SectionKind)>, ArchiveError> {
    let name = section.name().map_err(|error| member.damaged(error))?;
    let SectionFlags::Elf { sh_type, sh_flags } = section.flags() else {
        return Ok(None);
    };
    if !sh_flags.contains(elf::SHF_ALLOC) || sh_type == elf::SHT_NOTE || section.size() == 0 {
        return Ok(None);
    }
    if sh_flags.contains(elf::SHF_TLS) {
        return Err(unsupported(
            member,
            name,
            "the runtime may not have thread-locals",
        ));
    }
    let writable = sh_flags.contains(elf::SHF_WRITE);
    Ok(Some(if sh_flags.contains(elf::SHF_EXECINSTR) {
        (".text", SectionKind::Text)
    } else if sh_type == elf::SHT_NOBITS {
        (".bss", SectionKind::UninitializedData)
    } else if name == ".eh_frame" {
        (".eh_frame", SectionKind::ReadOnlyData)
    } else if name.starts_with(".gcc_except_table") {
        (".gcc_except_table", SectionKind::ReadOnlyData)
    } else if name.starts_with(".data.rel.ro") {
        (".data.rel.ro", SectionKind::ReadOnlyDataWithRel)
    } else if name.starts_with(".data") {
        (".data", SectionKind::Data)
    } else if !writable {
        (".rodata", SectionKind::ReadOnlyData)
    } else {
        // Constructors and the like: the runtime is started by its bootstrap function.
        return Err(unsupported(
            member,
            name,
            "the runtime may not have such a section",
        ));
    }))
}

fn unsupported(member: &Member<'_>, section: &str, what: &str) -> ArchiveError {
    ArchiveError::Unsupported {
        member: member.name.clone(),
        section: section.to_owned(),
        what: what.to_owned(),
    }
}
