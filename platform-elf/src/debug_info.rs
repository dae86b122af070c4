//! The debug sections of a relocatable object, as a linker would put them into a program: those of
//! one name joined, compressed ones unpacked, and their relocations applied.

use std::collections::HashMap;

use object::LittleEndian as LE;
use object::elf::{
    self, Rela64, RelocationType, SHF_ALLOC, SHF_COMPRESSED, SHT_NOBITS, SHT_RELA, SectionHeader64,
};
use object::read::elf::SectionHeader;
use orc_shared::ExecutorAddr;
use orc_shared::printable;

use crate::object::content::{self, MAX_UNPACKED_SIZE};
use crate::object::view::{Place, View};

/// What stands in debug information for code that is not in memory: DWARF 6 and linkers before it
/// chose the largest address.
const TOMBSTONE: u64 = u64::MAX;

/// In these two the largest address has another meaning.
const TOMBSTONE_OF_RANGES: u64 = u64::MAX - 1;

/// The debug sections of an object, by name.
pub(crate) struct DebugSections(HashMap<Vec<u8>, Vec<u8>>);

/// A section's place among those of its name.
struct Joined {
    name: Vec<u8>,
    start: usize,
    size: usize,
}

impl DebugSections {
    /// Reads and relocates the sections of an object. `place` tells where sections and common
    /// symbols of the object lie in memory, if they do.
    ///
    /// # Errors
    /// When a section is truncated or cannot be unpacked.
    pub fn read(
        view: &View<'_>,
        place: &dyn Fn(Target) -> Option<ExecutorAddr>,
    ) -> Result<Self, String> {
        let mut sections = Self(HashMap::new());
        let joined = sections.join(view)?;
        for section in view.sections {
            // Relocations of objects for this machine have explicit addends.
            if section.sh_type(LE) != SHT_RELA {
                continue;
            }
            if let Some(of) = joined.get(&section.sh_info(LE)) {
                sections.relocate(view, section, of, &joined, place)?;
            }
        }
        Ok(sections)
    }

    /// Whether the object has none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes a section out.
    pub fn take(&mut self, name: &str) -> Option<Vec<u8>> {
        self.0.remove(name.as_bytes())
    }

    /// Appends each debug section to those of its name before it.
    fn join(&mut self, view: &View<'_>) -> Result<HashMap<u32, Joined>, String> {
        let mut joined = HashMap::new();
        let mut room = MAX_UNPACKED_SIZE;
        for (index, section) in (0u32..).zip(view.sections) {
            let name = view.section_name(section);
            let flags = section.sh_flags(LE);
            let skipped = flags.contains(SHF_ALLOC) || section.sh_type(LE) == SHT_NOBITS;
            if skipped || !name.starts_with(b".debug_") {
                continue;
            }
            let unpacked;
            let bytes = if flags.contains(SHF_COMPRESSED) {
                let name = || view.section_text(index);
                unpacked = content::unpack(view.bytes, section, name, room)?.bytes;
                &unpacked
            } else {
                view.content(index)?
            };
            let size = bytes.len();
            room = room.checked_sub(size as u64).ok_or_else(|| {
                format!("the debug sections have more than {MAX_UNPACKED_SIZE} bytes")
            })?;
            let whole = self.0.entry(name.to_vec()).or_default();
            let start = whole.len();
            whole.extend_from_slice(bytes);
            let name = name.to_vec();
            joined.insert(index, Joined { name, start, size });
        }
        Ok(joined)
    }

    /// Applies the relocations of one section. Those that make no sense are left out: what they
    /// would have told is then missing, and no more.
    fn relocate(
        &mut self,
        view: &View<'_>,
        table: &SectionHeader64<LE>,
        of: &Joined,
        joined: &HashMap<u32, Joined>,
        place: &dyn Fn(Target) -> Option<ExecutorAddr>,
    ) -> Result<(), String> {
        let relocations: &[Rela64<LE>] = table
            .data_as_array(LE, view.bytes)
            .map_err(|_| format!("the relocations of {} are truncated", printable(&of.name)))?;
        let Some(whole) = self.0.get_mut(&of.name) else {
            return Ok(());
        };
        let bytes = &mut whole[of.start..of.start + of.size];
        let tombstone = match of.name.as_slice() {
            b".debug_ranges" | b".debug_loc" => TOMBSTONE_OF_RANGES,
            _ => TOMBSTONE,
        };
        for relocation in relocations {
            let info = relocation.r_info.get(LE);
            let at = usize::try_from(relocation.r_offset.get(LE)).unwrap_or(usize::MAX);
            let Some((width, relative)) = view.machine.data_field(RelocationType(info as u32))
            else {
                continue;
            };
            let field = at.checked_add(width).and_then(|end| bytes.get_mut(at..end));
            let Some(field) = field else { continue };
            let addend = relocation.r_addend.get(LE);
            let value = value_of(view, (info >> 32) as u32, joined, relative, place);
            let value = value.map_or(tombstone, |value| value.wrapping_add_signed(addend));
            field.copy_from_slice(&value.to_le_bytes()[..width]);
        }
        Ok(())
    }
}

/// What a symbol of an object may lie in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Target {
    /// The input section with this index in the object's table.
    Section(u32),
    /// The block of the common symbol with this index.
    Common(u32),
}

/// A symbol's value: its address, its offset in the debug sections of its section's name, or for
/// thread-locals its offset in its section. `None` if it is not in memory.
fn value_of(
    view: &View<'_>,
    index: u32,
    joined: &HashMap<u32, Joined>,
    relative: bool,
    place: &dyn Fn(Target) -> Option<ExecutorAddr>,
) -> Option<u64> {
    let symbol = view.symbols.get(index as usize)?;
    let value = symbol.st_value.get(LE);
    match view.place(index, symbol).ok()? {
        Place::Section(section) => match joined.get(&section) {
            Some(debug) => Some(value.wrapping_add(debug.start as u64)),
            None if relative || symbol.st_type() == elf::STT_TLS => Some(value),
            None => Some(place(Target::Section(section))?.value().wrapping_add(value)),
        },
        Place::Common { .. } => Some(place(Target::Common(index))?.value()),
        Place::Absolute => Some(value),
        Place::Undefined => None,
    }
}
