//! Sections and blocks of a graph: which input sections take part, where they go, what they hold.

use std::sync::Arc;

use hashbrown::HashMap;
use jit_core::graph::{Block, BlockId, Content, Section, SectionId, SectionKind, with_room};
use jit_core::name::{NameId, NameTable, NameUses};
use object::LittleEndian as LE;
use object::elf::{
    self, SHF_ALLOC, SHF_COMPRESSED, SHF_EXCLUDE, SHF_GNU_RETAIN, SHF_GROUP, SHF_LINK_ORDER,
    SHT_NOBITS, SHT_NOTE, SectionHeader64,
};
use object::read::elf::SectionHeader;
use orc_shared::ExecutorAddr;

use super::content::{self, MAX_UNPACKED_SIZE};
use super::output_section::{self, Known, Placement};
use super::view::View;

/// A block cannot ask for more: it has to fit into a range of memory.
const MAX_ALIGN: u64 = 1 << 30;
/// Sizes above this are those of damaged files; the bound keeps sums of sizes from overflowing.
const MAX_SIZE: u64 = 1 << 40;

/// What became of an input section.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    /// The section is in memory, as this block.
    Block(BlockId),
    /// The section is not in memory (debug information, symbol tables).
    NotInMemory,
    /// The section is discarded: its group lost to another object's, or its flags say so.
    Discarded,
}

/// The sections and blocks of a graph while it is built.
pub(super) struct Blocks {
    pub sections: Vec<Section>,
    pub blocks: Vec<Block>,
    pub owned: Vec<u8>,
    /// What became of each input section.
    fates: Vec<u32>,
    /// The input section of each block.
    pub block_sections: Vec<u32>,
    /// Blocks whose words are in reverse order.
    pub reversed: Vec<BlockId>,
    /// Blocks that stay, whatever refers to them.
    pub retained: Vec<BlockId>,
    /// Blocks of `.eh_frame` sections.
    pub eh_frames: Vec<BlockId>,
    unpacked_size: u64,
    table: SectionTable,
    /// The use of names of sections that have their own.
    pub uses: NameUses,
}

const NOT_IN_MEMORY: u32 = u32::MAX;
const DISCARDED: u32 = u32::MAX - 1;

impl Blocks {
    /// Makes a block of every section in memory, but for those `is_lost`.
    ///
    /// # Errors
    /// When a section's content, size or alignment is impossible.
    pub fn read(
        view: &View<'_>,
        names: &Arc<NameTable>,
        is_lost: impl Fn(u32) -> bool,
    ) -> Result<Self, String> {
        let in_memory = view
            .sections
            .iter()
            .filter(|s| s.sh_flags(LE).contains(SHF_ALLOC))
            .count();
        let mut blocks = Self {
            sections: Vec::with_capacity(8),
            blocks: Vec::with_capacity(with_room(in_memory)),
            owned: Vec::new(),
            fates: Vec::with_capacity(view.sections.len()),
            block_sections: Vec::with_capacity(in_memory),
            reversed: Vec::new(),
            retained: Vec::new(),
            eh_frames: Vec::new(),
            unpacked_size: 0,
            table: SectionTable::default(),
            uses: NameUses::new(names),
        };
        for (index, section) in (0u32..).zip(view.sections) {
            let fate = if section.sh_flags(LE).contains(SHF_EXCLUDE) || is_lost(index) {
                DISCARDED
            } else if !is_in_memory(view, section) {
                NOT_IN_MEMORY
            } else {
                blocks.add(view, names, index, section)?
            };
            blocks.fates.push(fate);
        }
        Ok(blocks)
    }

    /// What became of the section.
    pub fn fate(&self, section: u32) -> Fate {
        match self.fates.get(section as usize).copied() {
            Some(DISCARDED) => Fate::Discarded,
            Some(NOT_IN_MEMORY) | None => Fate::NotInMemory,
            Some(block) => Fate::Block(BlockId(block)),
        }
    }

    /// Adds a block of zeros for a common symbol.
    ///
    /// # Errors
    /// When size or alignment are impossible.
    pub fn add_common(
        &mut self,
        names: &NameTable,
        output: Known,
        size: u64,
        align: u64,
    ) -> Result<BlockId, String> {
        let kind = match output {
            Known::ThreadBss => SectionKind::ThreadLocal,
            Known::LargeBss => SectionKind::LargeReadWrite,
            _ => SectionKind::ReadWrite,
        };
        let section = Section {
            output: self.table.known_name(names, output),
            kind,
            order: output_section::COMMON_ORDER,
            order_name: None,
            bounds_retained: false,
            mergeable: false,
        };
        let section = self.table.section(&mut self.sections, section);
        check_size_and_align(size, align).map_err(|what| format!("a common symbol {what}"))?;
        Ok(self.push(section, Content::Zero, size, align.max(1)))
    }

    fn push(&mut self, section: SectionId, content: Content, size: u64, align: u64) -> BlockId {
        let id = BlockId(self.blocks.len() as u32);
        self.blocks.push(Block {
            section,
            content,
            size,
            align,
            edges: 0..0,
            frames: 0..0,
            live: true,
            address: ExecutorAddr::NULL,
        });
        id
    }

    fn add(
        &mut self,
        view: &View<'_>,
        names: &NameTable,
        index: u32,
        section: &SectionHeader64<LE>,
    ) -> Result<u32, String> {
        let placement =
            output_section::placement(view.section_name_tail(section), section.sh_type(LE));
        let id = self.section_of(view, names, section, placement);
        let (content, size, align) = self.content(view, index, section, placement.reversed)?;
        check_size_and_align(size, align)
            .map_err(|what| format!("the section {} {what}", view.section_text(index)))?;
        let block = self.push(id, content, size, align.max(1));
        self.block_sections.push(index);
        let flags = section.sh_flags(LE);
        if flags.contains(SHF_GNU_RETAIN)
            || placement.output.is_some_and(Known::is_retained)
            || (section.sh_type(LE) == SHT_NOTE && !flags.contains(SHF_GROUP))
        {
            self.retained.push(block);
        }
        if placement.reversed && size.is_multiple_of(8) {
            self.reversed.push(block);
        }
        if placement.output == Some(Known::EhFrame) {
            self.eh_frames.push(block);
        }
        Ok(block.0)
    }

    fn section_of(
        &mut self,
        view: &View<'_>,
        names: &NameTable,
        section: &SectionHeader64<LE>,
        placement: Placement,
    ) -> SectionId {
        let flags = section.sh_flags(LE);
        let kind = output_section::kind(placement.output, flags);
        let (output, bounds_retained) = match placement.output {
            Some(known) => (self.table.known_name(names, known), false),
            None => {
                let name = view.section_name(section);
                // Metadata of another section is kept with that section.
                let dependent = flags.contains(SHF_LINK_ORDER) && section.sh_link(LE) != 0;
                (
                    self.table.own_name(&mut self.uses, name),
                    !dependent && output_section::is_c_identifier(name),
                )
            }
        };
        let section = Section {
            output,
            kind,
            order: placement.order,
            order_name: placement
                .by_name
                .then(|| self.uses.intern(view.section_name(section))),
            bounds_retained,
            mergeable: false,
        };
        match placement.output {
            Some(known) => self.table.known_section(&mut self.sections, known, section),
            None => self.table.section(&mut self.sections, section),
        }
    }

    /// The section's content, size and alignment.
    fn content(
        &mut self,
        view: &View<'_>,
        index: u32,
        section: &SectionHeader64<LE>,
        reversed: bool,
    ) -> Result<(Content, u64, u64), String> {
        let align = section.sh_addralign(LE);
        if section.sh_type(LE) == SHT_NOBITS {
            return Ok((Content::Zero, section.sh_size(LE), align));
        }
        let start = self.owned.len();
        if section.sh_flags(LE).contains(SHF_COMPRESSED) {
            let limit = MAX_UNPACKED_SIZE - self.unpacked_size;
            let name = || view.section_text(index);
            let unpacked = content::unpack(view.bytes, section, name, limit)?;
            let size = unpacked.bytes.len();
            self.unpacked_size += size as u64;
            self.owned.extend_from_slice(&unpacked.bytes);
            return Ok((
                Content::Owned(start..start + size),
                size as u64,
                unpacked.align,
            ));
        }
        let bytes = view.content(index)?;
        if reversed && bytes.len().is_multiple_of(8) {
            // Sections of a sane file do not overlap.
            if start + bytes.len() > view.bytes.len() + self.unpacked_size as usize {
                return Err("the .ctors sections are larger than the file".into());
            }
            content::append_reversed_words(&mut self.owned, bytes);
            return Ok((
                Content::Owned(start..self.owned.len()),
                bytes.len() as u64,
                align,
            ));
        }
        // The bounds were checked by reading the content, but for those of nothing.
        let start = if bytes.is_empty() {
            0
        } else {
            section.sh_offset(LE) as usize
        };
        Ok((
            Content::Input(start..start + bytes.len()),
            bytes.len() as u64,
            align,
        ))
    }
}

/// Whether the section becomes a block.
fn is_in_memory(view: &View<'_>, section: &SectionHeader64<LE>) -> bool {
    if !section.sh_flags(LE).contains(SHF_ALLOC) {
        return false;
    }
    match section.sh_type(LE) {
        elf::SHT_NULL
        | elf::SHT_SYMTAB
        | elf::SHT_STRTAB
        | elf::SHT_RELA
        | elf::SHT_REL
        | elf::SHT_CREL
        | elf::SHT_GROUP
        | elf::SHT_SYMTAB_SHNDX => false,
        // Linkers merge the property notes of all objects into one for the loader; nothing reads
        // those of code that the loader does not know.
        SHT_NOTE => !view
            .section_name_tail(section)
            .starts_with(b".note.gnu.property"),
        _ => !view.section_name_tail(section).starts_with(b".gnu.warning"),
    }
}

fn check_size_and_align(size: u64, align: u64) -> Result<(), String> {
    if align > 1 && !align.is_power_of_two() {
        return Err(format!(
            "has the alignment {align}, which is not a power of two"
        ));
    }
    if align > MAX_ALIGN {
        return Err(format!(
            "asks for an alignment of {align} bytes, more than 1 GiB"
        ));
    }
    if size > MAX_SIZE {
        return Err(format!("has the impossible size {size}"));
    }
    Ok(())
}

/// Finds the section for a block. Nearly all blocks go to a few known sections, which are found
/// without hashing.
struct SectionTable {
    names: [Option<NameId>; Known::COUNT],
    last_own: Option<(Vec<u8>, NameId)>,
    /// The section most recently used for each known output and low rank.
    recent: [[SectionId; RECENT_ORDERS]; Known::COUNT],
    others: HashMap<(NameId, u32, Option<NameId>, u8), SectionId>,
}

const RECENT_ORDERS: usize = 8;
const NO_SECTION: SectionId = SectionId(u32::MAX);

impl Default for SectionTable {
    fn default() -> Self {
        Self {
            names: [None; Known::COUNT],
            last_own: None,
            recent: [[NO_SECTION; RECENT_ORDERS]; Known::COUNT],
            others: HashMap::new(),
        }
    }
}

impl SectionTable {
    fn known_name(&mut self, names: &NameTable, known: Known) -> NameId {
        *self.names[known as usize].get_or_insert_with(|| names.intern(known.name().as_bytes()))
    }

    fn own_name(&mut self, uses: &mut NameUses, name: &[u8]) -> NameId {
        match &self.last_own {
            Some((last, id)) if last == name => *id,
            _ => {
                let id = uses.intern(name);
                self.last_own = Some((name.to_vec(), id));
                id
            }
        }
    }

    fn known_section(
        &mut self,
        sections: &mut Vec<Section>,
        known: Known,
        section: Section,
    ) -> SectionId {
        let place = (known as usize, section.order as usize % RECENT_ORDERS);
        let recent = self.recent[place.0][place.1];
        if sections.get(recent.0 as usize) == Some(&section) {
            return recent;
        }
        let id = self.section(sections, section);
        self.recent[place.0][place.1] = id;
        id
    }

    fn section(&mut self, sections: &mut Vec<Section>, section: Section) -> SectionId {
        let flags = section.kind as u8 | u8::from(section.bounds_retained) << 7;
        let key = (section.output, section.order, section.order_name, flags);
        *self.others.entry(key).or_insert_with(|| {
            sections.push(section);
            SectionId(sections.len() as u32 - 1)
        })
    }
}
