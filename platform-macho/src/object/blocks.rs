//! Sections and blocks of a graph: sections are taken apart at symbols, into atoms.

use std::sync::Arc;

use hashbrown::HashMap;
use jit_core::graph::{Block, BlockId, Content, Section, SectionId, SectionKind, with_room};
use jit_core::name::{NameId, NameTable, NameUses};
use object::LittleEndian as LE;
use object::macho::{self, Section64};
use orc_shared::ExecutorAddr;

use super::languages;
use super::literals;
use super::output_section::{self, Placement};
use super::view::{Place, View};
use crate::platform::Host;

/// What became of an input section.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Fate {
    /// Its blocks, in the order of their offsets: where each begins. Empty if it is not in memory.
    starts: Vec<u64>,
    /// The first of the blocks.
    first: u32,
}

/// The sections and blocks of a graph while it is built.
pub(crate) struct Blocks {
    pub sections: Vec<Section>,
    pub blocks: Vec<Block>,
    /// Per input section.
    pub fates: Vec<Fate>,
    /// Per block of a section: the index of the section, and its offset there.
    pub origins: Vec<(u32, u64)>,
    /// Blocks that stay, whatever refers to them.
    pub retained: Vec<BlockId>,
    /// The input sections that hold frames.
    pub frames: Vec<u32>,
    /// Those that hold compact unwind entries.
    pub compact_unwind: Vec<u32>,
    known: HashMap<(NameId, u8, u32, bool), SectionId>,
    /// The use of names of output sections.
    pub uses: NameUses,
}

impl Blocks {
    /// Makes blocks of every section in memory.
    ///
    /// # Errors
    /// When a section is damaged, or cannot be linked.
    pub fn read(view: &View<'_>, names: &Arc<NameTable>, host: &Host) -> Result<Self, String> {
        let mut blocks = Self {
            sections: Vec::with_capacity(16),
            blocks: Vec::with_capacity(with_room(view.symbols.len())),
            fates: Vec::with_capacity(view.sections.len()),
            origins: Vec::with_capacity(view.symbols.len()),
            retained: Vec::new(),
            frames: Vec::new(),
            compact_unwind: Vec::new(),
            known: HashMap::new(),
            uses: NameUses::new(names),
        };
        let cuts = cuts(view)?;
        for ((index, section), (cuts, mergeable)) in (0u32..).zip(&view.sections).zip(cuts) {
            let fate = match output_section::placement(section, host) {
                Placement::Frames => {
                    blocks.frames.push(index);
                    Fate::default()
                }
                Placement::CompactUnwind => {
                    blocks.compact_unwind.push(index);
                    Fate::default()
                }
                Placement::NotInMemory => Fate::default(),
                Placement::Refused(why) if section.size.get(LE) > 0 => {
                    return Err(format!("the section {} {why}", view.section_text(index)));
                }
                // Names of places in an empty one have an address all the same.
                Placement::Refused(_) => {
                    let constants = host.sections.constants;
                    let id = blocks.section(constants, SectionKind::ReadOnly, 0);
                    blocks.add(view, index, id, vec![0])?
                }
                Placement::Output {
                    name,
                    kind,
                    order,
                    retained,
                } => {
                    let id = blocks.section_of(&name, kind, order, mergeable);
                    let fate = blocks.add(view, index, id, cuts)?;
                    if retained {
                        let all = fate.first..fate.first + fate.starts.len() as u32;
                        blocks.retained.extend(all.map(BlockId));
                    }
                    fate
                }
            };
            blocks.fates.push(fate);
        }
        Ok(blocks)
    }

    /// The section of an output name.
    pub fn section(&mut self, name: &str, kind: SectionKind, order: u32) -> SectionId {
        self.section_of(name, kind, order, false)
    }

    fn section_of(
        &mut self,
        name: &str,
        kind: SectionKind,
        order: u32,
        mergeable: bool,
    ) -> SectionId {
        let output = self.uses.intern(name.as_bytes());
        let sections = &mut self.sections;
        *self
            .known
            .entry((output, kind as u8, order, mergeable))
            .or_insert_with(|| {
                sections.push(Section {
                    output,
                    kind,
                    order,
                    order_name: None,
                    bounds_retained: is_c_identifier(name.as_bytes()),
                    mergeable,
                });
                SectionId(sections.len() as u32 - 1)
            })
    }

    /// Adds a block.
    pub fn push(&mut self, section: SectionId, content: Content, size: u64, align: u64) -> BlockId {
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

    /// The block that has the byte at `offset` of a section, and the offset there. What lies before the section
    /// belongs to its first block, what lies behind it to its last. `None` if it is not in memory.
    pub fn at(&self, section: u32, offset: i64) -> Option<(BlockId, i64)> {
        let fate = self.fates.get(section as usize)?;
        let behind = |start: &u64| i64::try_from(*start).is_ok_and(|start| start <= offset);
        let number = fate.starts.partition_point(behind).saturating_sub(1);
        let start = *fate.starts.get(number)?;
        let within = offset.checked_sub_unsigned(start)?;
        Some((BlockId(fate.first + number as u32), within))
    }

    /// Whether the section is one block.
    pub fn is_whole(&self, section: u32) -> bool {
        let fate = self.fates.get(section as usize);
        fate.is_some_and(|fate| fate.starts.len() == 1)
    }

    fn add(
        &mut self,
        view: &View<'_>,
        index: u32,
        id: SectionId,
        cuts: Vec<u64>,
    ) -> Result<Fate, String> {
        let section = view.sections[index as usize];
        let size = section.size.get(LE);
        let content = view.content(section)?;
        let fate = Fate {
            first: self.blocks.len() as u32,
            starts: cuts,
        };
        let ends = fate.starts.iter().skip(1).copied().chain([size]);
        for (start, end) in fate.starts.iter().copied().zip(ends) {
            let content = match &content {
                Some(range) => {
                    Content::Input(range.start + start as usize..range.start + end as usize)
                }
                None => Content::Zero,
            };
            self.push(id, content, end - start, align_at(section, start));
            self.origins.push((index, start));
        }
        Ok(fate)
    }
}

/// What is known of the alignment of a place in a section.
fn align_at(section: &Section64<LE>, offset: u64) -> u64 {
    let whole = 1u64 << section.align.get(LE);
    match offset {
        0 => whole,
        _ => whole.min(1 << offset.trailing_zeros()),
    }
}

/// Where each section is cut, at the symbols that begin an atom, or into literals; and whether it has literals.
fn cuts(view: &View<'_>) -> Result<Vec<(Vec<u64>, bool)>, String> {
    let mut cuts: Vec<Vec<u64>> = view.sections.iter().map(|_| vec![0]).collect();
    for (index, symbol) in (0u32..).zip(view.symbols) {
        let Place::Section { section, offset } = view.place(index, symbol)? else {
            continue;
        };
        let is_inner = symbol.n_desc.get(LE).contains(macho::N_ALT_ENTRY);
        let size = view.sections[section as usize].size.get(LE);
        // A label at the end is one of what lies before it.
        if view.by_symbols && !is_inner && offset < size {
            cuts[section as usize].push(offset);
        }
    }
    let by_content = |(index, mut starts): (u32, Vec<u64>)| {
        if languages::is_told_of(view.sections[index as usize]) {
            return Ok((vec![0], false));
        }
        let literals = literals::cuts(view, index)?;
        starts.sort_unstable();
        starts.dedup();
        let mergeable = literals.is_some();
        Ok((literals.unwrap_or(starts), mergeable))
    };
    (0u32..).zip(cuts).map(by_content).collect()
}

/// Whether code can ask for the bounds of a section of this name.
fn is_c_identifier(name: &[u8]) -> bool {
    let letter = |b: u8| b.is_ascii_alphabetic() || b == b'_';
    match name {
        [first, others @ ..] => {
            letter(*first) && others.iter().all(|&b| letter(b) || b.is_ascii_digit())
        }
        [] => false,
    }
}
