//! The debug sections of relocatable objects, as a linker would put them into a program: those of
//! one name joined, compressed ones unpacked, and their relocations applied.

use std::collections::{BTreeMap, HashMap};

use object::LittleEndian as LE;
use object::elf::{
    self, Rela64, RelocationType, SHF_ALLOC, SHF_COMPRESSED, SHF_EXCLUDE, SHT_NOBITS, SHT_RELA,
    SectionHeader64,
};
use object::read::elf::SectionHeader;
use orc_shared::ExecutorAddr;
use orc_shared::printable;

use crate::object::content::{self, MAX_UNPACKED_SIZE};
use crate::object::view::{Place, View};

/// What stands in debug information for code that is not in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Tombstone {
    /// The largest address, which DWARF 6 chose.
    Largest,
    /// Zero, which linkers write: all debuggers know it.
    Zero,
}

impl Tombstone {
    /// What stands in a section. In two of them both addresses have another meaning.
    fn in_section(self, name: &[u8]) -> u64 {
        let is_list = matches!(name, b".debug_ranges" | b".debug_loc");
        match self {
            Self::Largest => u64::MAX - u64::from(is_list),
            Self::Zero => u64::from(is_list),
        }
    }
}

/// The debug sections of objects, by name.
pub(crate) struct DebugSections {
    sections: BTreeMap<Vec<u8>, Vec<u8>>,
    tombstone: Tombstone,
}

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
        let mut sections = Self {
            sections: BTreeMap::new(),
            tombstone: Tombstone::Largest,
        };
        sections.append(view, place)?;
        Ok(sections)
    }

    /// Sections of a file that is made for debuggers, to append others to.
    pub fn of_image(sections: BTreeMap<Vec<u8>, Vec<u8>>) -> Self {
        Self {
            sections,
            tombstone: Tombstone::Zero,
        }
    }

    /// All sections, by name.
    pub fn into_sections(self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        self.sections
    }

    /// Appends the sections of an object, as [`Self::read`] reads them. If it fails, all is as before.
    ///
    /// # Errors
    /// Those of [`Self::read`].
    pub fn append(
        &mut self,
        view: &View<'_>,
        place: &dyn Fn(Target) -> Option<ExecutorAddr>,
    ) -> Result<(), String> {
        let before = self.sections.iter();
        let before: HashMap<_, _> = before.map(|(name, it)| (name.clone(), it.len())).collect();
        let appended = self.join(view).and_then(|joined| {
            // Relocations of objects for these machines have explicit addends.
            let tables = view.sections.iter();
            for table in tables.filter(|section| section.sh_type(LE) == SHT_RELA) {
                if let Some(of) = joined.get(&table.sh_info(LE)) {
                    self.relocate(view, table, of, &joined, place)?;
                }
            }
            Ok(())
        });
        if appended.is_err() {
            self.sections.retain(|name, bytes| {
                bytes.truncate(before.get(name).copied().unwrap_or(0));
                !bytes.is_empty()
            });
        }
        appended
    }

    /// Whether the object has none.
    pub fn is_empty(&self) -> bool {
        self.sections.is_empty()
    }

    /// Takes a section out.
    pub fn take(&mut self, name: &str) -> Option<Vec<u8>> {
        self.sections.remove(name.as_bytes())
    }

    /// Appends each debug section to those of its name before it.
    fn join(&mut self, view: &View<'_>) -> Result<HashMap<u32, Joined>, String> {
        let mut joined = HashMap::new();
        let mut room = MAX_UNPACKED_SIZE;
        for (index, section) in (0u32..).zip(view.sections) {
            let name = view.section_name(section);
            let flags = section.sh_flags(LE);
            // What linkers leave out is read from the object's file (split DWARF).
            let left_out = self.tombstone == Tombstone::Zero && flags.contains(SHF_EXCLUDE);
            let skipped =
                flags.contains(SHF_ALLOC) || section.sh_type(LE) == SHT_NOBITS || left_out;
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
            let whole = self.sections.entry(name.to_vec()).or_default();
            let start = align(whole.len(), section.sh_addralign(LE));
            if u32::try_from(start + size).is_err() {
                return Err(format!(
                    "{} of all objects has more than 4 GiB",
                    printable(name)
                ));
            }
            whole.resize(start, 0);
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
        let Some(whole) = self.sections.get_mut(&of.name) else {
            return Ok(());
        };
        let bytes = &mut whole[of.start..of.start + of.size];
        let tombstone = self.tombstone.in_section(&of.name);
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

/// Where the next piece of a section starts. Alignments that make no sense are none.
fn align(size: usize, align: u64) -> usize {
    match usize::try_from(align) {
        Ok(align @ 1..=4096) => size.next_multiple_of(align),
        _ => size,
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
