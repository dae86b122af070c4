//! How code is unwound: frames in DWARF's form, for unwinders that know no other.
//!
//! An object has up to two descriptions of a function: an FDE in `__TEXT,__eh_frame`, and an entry of 32 bytes in
//! `__LD,__compact_unwind`. The FDE says more, and is taken where there is one. Of an entry without an FDE, one is made
//! ([`compact`]). All are in one block of the graph, which begins with a copy of the object's `__eh_frame`.
//!
//! Assemblers for macOS write most distances in `__eh_frame` without relocations, as the section lies in the same file
//! as what it describes. So they are read as the file has them, and become edges.

mod compact;
mod records;

use jit_core::graph::{BlockId, Content, Edge, Frame, SectionKind};
use object::LittleEndian as LE;

use crate::machine::Machine;
use crate::object::added::Added;
use crate::object::blocks::Blocks;
use crate::object::relocations::{Aim, Reader};
use crate::object::symbols::Symbols;
use crate::object::view::View;
use crate::platform::Sections;

/// What frames are made with.
struct Maker<'a> {
    reader: Reader<'a>,
    machine: &'static Machine,
    /// The bytes of the block.
    bytes: Vec<u8>,
    edges: Vec<Edge>,
    frames: Vec<Frame>,
    /// Where the CIEs are that were made.
    cies: compact::Cies,
}

/// Makes the block of frames, with its edges behind all others, and gives each block of code its frames. `added` are
/// functions of the reader's.
///
/// # Errors
/// When the frames are damaged.
pub(crate) fn read(
    view: &View<'_>,
    (blocks, symbols, edges): (&mut Blocks, &Symbols, &mut Vec<Edge>),
    owned: &mut Vec<u8>,
    added: &[Added],
    sections: &Sections,
) -> Result<Vec<Frame>, String> {
    let mut maker = Maker {
        reader: Reader {
            view,
            blocks,
            symbols,
        },
        machine: view.machine,
        bytes: Vec::new(),
        edges: Vec::new(),
        frames: Vec::new(),
        cies: compact::Cies::default(),
    };
    let mut total = 0;
    for section in &blocks.frames {
        // Sections of a sane file do not overlap.
        total += view.sections[*section as usize].size.get(LE);
        if total > view.bytes.len() as u64 {
            return Err("the __eh_frame sections are larger than the file".into());
        }
        maker.copy_section(*section)?;
    }
    maker.add_frames_of_added(added)?;
    maker.add_compact(&blocks.compact_unwind)?;
    let Maker {
        bytes,
        edges: mut own,
        mut frames,
        ..
    } = maker;
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let first = edges.len() as u32;
    let section = blocks.section(sections.frames, SectionKind::ReadOnly, 0);
    let start = owned.len();
    owned.extend_from_slice(&bytes);
    let content = Content::Owned(start..owned.len());
    let home = blocks.push(section, content, bytes.len() as u64, 8);
    edges.append(&mut own);
    blocks.blocks[home.0 as usize].edges = first..edges.len() as u32;
    for frame in &mut frames {
        frame.block = home;
        frame.edges.0 += first;
        frame.edges.1 += first;
    }
    frames.sort_unstable_by_key(|frame| (frame.code, frame.code_offset, frame.edges));
    let mut start = 0;
    for group in frames.chunk_by(|a, b| a.code == b.code) {
        let end = start + group.len() as u32;
        blocks.blocks[group[0].code.0 as usize].frames = start..end;
        start = end;
    }
    Ok(frames)
}

impl Maker<'_> {
    /// The offset of what comes next in the block.
    fn here(&self) -> Result<u32, String> {
        u32::try_from(self.bytes.len()).map_err(|_| "has frames of more than 4 GiB".to_owned())
    }

    /// An edge of a distance of so many bytes.
    fn push_distance(&mut self, offset: u32, width: u32, aim: Aim) {
        let kind = self.machine.distances[usize::from(width == 4)];
        self.edges.push(Edge {
            offset,
            target: aim.symbol,
            addend: aim.addend,
            kind,
        });
    }

    /// Appends the frame of a function whose FDE has these edges.
    fn push_frame(
        &mut self,
        offset: u32,
        length: u32,
        edges: (usize, usize),
        code: (BlockId, i64),
    ) {
        self.frames.push(Frame {
            block: BlockId(0),
            offset,
            length,
            edges: (edges.0 as u32, edges.1 as u32),
            code: code.0,
            code_offset: code.1.cast_unsigned(),
        });
    }

    /// The place of an address of the file.
    fn aim_at(&self, address: u64) -> Option<(Aim, (BlockId, i64))> {
        let Reader {
            view,
            blocks,
            symbols,
        } = &self.reader;
        let sections = || (0u32..).zip(&view.sections);
        let holding = sections().filter(|(_, section)| {
            let start = section.addr.get(LE);
            address >= start && address - start < section.size.get(LE)
        });
        // A table may be empty.
        let empty = sections()
            .filter(|(_, section)| section.addr.get(LE) == address && section.size.get(LE) == 0);
        let place = holding.chain(empty).find_map(|(index, section)| {
            let offset = address - section.addr.get(LE);
            blocks.at(index, offset.cast_signed())
        })?;
        let aim = Aim {
            symbol: symbols.of_block(place.0),
            addend: place.1,
        };
        Some((aim, place))
    }
}

#[cfg(test)]
pub(crate) mod tests;
