//! Call frame information: which FDE describes which code.
//!
//! An `.eh_frame` section is a list of records, each a length and a body (LSB, "Exception Frames").
//! A *CIE* holds what several functions have in common: how addresses are encoded, the personality
//! routine. An *FDE* describes one function: a pointer back to its CIE, the start and size of the
//! code, and the address of its exception table (LSDA), if it has one.
//!
//! A linker reads no more of it than it must. In an object, the start of the code is a relocation
//! at a fixed place of the FDE, and the LSDA is the only other one, so the encodings do not matter.
//!
//! Every FDE becomes a [`Frame`]. One whose code is not in the graph (its group lost to another
//! object's), or which has no relocation and so describes no code of this object, is said to
//! describe a block that is dead from the start: the linker drops it, as linkers do.
//!
//! A length of zero ends the list for an unwinder. In an object it may come before the end
//! (`crtend.o`, and what `ld -r` makes of it), so reading goes on behind it.

use jit_core::graph::{Block, BlockId, Content, Edge, Frame, LinkGraph, Target};
use orc_shared::ExecutorAddr;

/// A length that announces a 64-bit one.
const EXTENDED_LENGTH: u32 = 0xffff_ffff;

/// Reads the `.eh_frame` blocks: fills the graph's `frames`, and the `frames` of each code block.
///
/// # Errors
/// When a record is malformed, naming the section and the offset.
pub(crate) fn read(graph: &mut LinkGraph, eh_frames: &[BlockId]) -> Result<(), String> {
    if eh_frames.is_empty() {
        return Ok(());
    }
    let mut frames = Vec::new();
    let mut total_size = 0u64;
    for &block in eh_frames {
        sort_edges(graph, block);
        let size = graph.blocks[block.0 as usize].size;
        // Sections of a sane file do not overlap; the bound keeps reading linear in a damaged one.
        total_size = total_size.saturating_add(size);
        if total_size > (graph.input.bytes().len() + graph.owned.len()) as u64 {
            return Err("the .eh_frame sections are larger than the file".into());
        }
        read_section(graph, block, &mut frames).map_err(|Malformed { offset, what }| {
            let name = graph.describe.as_ref().map(|d| d.block_section(block));
            let name = name.unwrap_or_else(|| ".eh_frame".into());
            format!(
                "the record at {name}+{offset:#x} {what}: the call frame information is damaged"
            )
        })?;
    }
    frames.shrink_to_fit();
    adopt_orphans(graph, &mut frames, eh_frames[0]);
    frames.sort_unstable_by_key(|frame: &Frame| (frame.code, frame.code_offset, frame.edges));
    let mut start = 0;
    for group in frames.chunk_by(|a, b| a.code == b.code) {
        let end = start + group.len() as u32;
        graph.blocks[group[0].code.0 as usize].frames = start..end;
        start = end;
    }
    graph.frames = frames;
    Ok(())
}

/// Stands for code that is not in the graph.
const NO_CODE: BlockId = BlockId(u32::MAX);

/// Gives the frames without code a dead block to describe, if there are any.
fn adopt_orphans(graph: &mut LinkGraph, frames: &mut [Frame], eh_frame: BlockId) {
    let dead = BlockId(graph.blocks.len() as u32);
    let mut any = false;
    for frame in frames.iter_mut().filter(|frame| frame.code == NO_CODE) {
        frame.code = dead;
        any = true;
    }
    if any {
        graph.blocks.push(Block {
            section: graph.blocks[eh_frame.0 as usize].section,
            content: Content::Zero,
            size: 0,
            align: 1,
            edges: 0..0,
            frames: 0..0,
            live: false,
            address: ExecutorAddr::NULL,
        });
    }
}

/// Assemblers write relocations in order; nothing obliges them to.
fn sort_edges(graph: &mut LinkGraph, block: BlockId) {
    let range = graph.blocks[block.0 as usize].edges.clone();
    let edges = &mut graph.edges[range.start as usize..range.end as usize];
    if !edges.is_sorted_by_key(|edge| edge.offset) {
        edges.sort_by_key(|edge| edge.offset);
    }
}

struct Malformed {
    offset: u32,
    what: &'static str,
}

/// A record's place in its section.
struct Record {
    /// Offset of the length field.
    start: u32,
    /// Offset of the CIE pointer: behind the length field.
    id: u32,
    /// Offset of the first byte after the record.
    end: u32,
}

fn read_section(
    graph: &LinkGraph,
    block: BlockId,
    frames: &mut Vec<Frame>,
) -> Result<(), Malformed> {
    let home = &graph.blocks[block.0 as usize];
    let input = graph.input.bytes();
    let bytes = match &home.content {
        Content::Input(range) => input.get(range.clone()).unwrap_or(&[]),
        Content::Owned(range) => graph.owned.get(range.clone()).unwrap_or(&[]),
        Content::FunctionNames | Content::Zero => &[],
    };
    if i32::try_from(bytes.len()).is_err() {
        return Err(Malformed {
            offset: 0,
            what: "belongs to a section of more than 2 GiB",
        });
    }
    let first_edge = home.edges.start;
    let edges = &graph.edges[first_edge as usize..home.edges.end as usize];
    // Every frame has an edge at least: where its code starts.
    frames.reserve_exact(edges.len());
    let mut next_edge = 0;
    let mut cies: Vec<u32> = Vec::new();
    let mut at = 0;
    while let Some(record) = next_record(bytes, at)? {
        at = record.end;
        let malformed = |what| {
            Err(Malformed {
                offset: record.start,
                what,
            })
        };
        // An empty record is a terminator.
        if record.id == record.end {
            continue;
        }
        let Some(pointer) = read_u32(bytes, record.id).filter(|_| record.end - record.id >= 4)
        else {
            return malformed("is too short");
        };
        while edges
            .get(next_edge)
            .is_some_and(|edge| edge.offset < record.start)
        {
            next_edge += 1;
        }
        // A record has one to three edges: counting them is faster than searching.
        let rest = edges[next_edge..].iter();
        let in_record = rest.take_while(|edge| edge.offset < record.end).count();
        let own = next_edge..next_edge + in_record;
        next_edge = own.end;
        if pointer == 0 {
            if let Some(what) = fault_of_cie(&bytes[record.id as usize + 4..record.end as usize]) {
                return malformed(what);
            }
            cies.push(record.start);
            continue;
        }
        // The pointer counts back from itself. The CIE mostly is the latest one.
        let cie = record.id.checked_sub(pointer);
        if cies.last().copied() != cie && cie.is_none_or(|cie| cies.binary_search(&cie).is_err()) {
            return malformed("refers to a CIE that does not exist");
        }
        let Ok(code) = code_of(graph, &edges[own.clone()], record.id + 4) else {
            return malformed("describes code that lies outside its section");
        };
        let (first, block_offset) = match &code {
            Some(code) => (own.start + code.edge, (code.block, code.offset)),
            None => (own.start, (NO_CODE, 0)),
        };
        frames.push(Frame {
            block,
            offset: record.start,
            length: record.end - record.start,
            edges: (first_edge + first as u32, first_edge + own.end as u32),
            code: block_offset.0,
            code_offset: block_offset.1,
        });
    }
    Ok(())
}

/// The record at `at`; `None` at the end of the section.
fn next_record(bytes: &[u8], at: u32) -> Result<Option<Record>, Malformed> {
    if at as usize >= bytes.len() {
        return Ok(None);
    }
    let malformed = |what| Malformed { offset: at, what };
    let truncated = || malformed("ends beyond its section");
    let Some(short) = read_u32(bytes, at) else {
        // Padding that is shorter than a record.
        let padding = bytes[at as usize..].iter().all(|&b| b == 0);
        return if padding { Ok(None) } else { Err(truncated()) };
    };
    let (id, length) = if short == EXTENDED_LENGTH {
        let low = read_u32(bytes, at + 4).ok_or_else(truncated)?;
        let high = read_u32(bytes, at + 8).ok_or_else(truncated)?;
        if high != 0 {
            return Err(truncated());
        }
        (at + 12, low)
    } else {
        (at + 4, short)
    };
    let end = id
        .checked_add(length)
        .filter(|&end| end as usize <= bytes.len());
    Ok(Some(Record {
        start: at,
        id,
        end: end.ok_or_else(truncated)?,
    }))
}

fn read_u32(bytes: &[u8], at: u32) -> Option<u32> {
    let at = at as usize;
    let field = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(field.try_into().ok()?))
}

/// The code that an FDE describes.
struct Code {
    /// Which of the FDE's edges is the start of the code.
    edge: usize,
    block: BlockId,
    offset: u64,
}

/// The place lies outside of the section it is said to lie in.
struct OutsideSection;

/// What the edge at `at` refers to; `None` for code that is not in the graph.
fn code_of(graph: &LinkGraph, edges: &[Edge], at: u32) -> Result<Option<Code>, OutsideSection> {
    let Some(edge) = edges.iter().position(|edge| edge.offset == at) else {
        return Ok(None);
    };
    let symbol = graph.symbols.get(edges[edge].target.0 as usize);
    let Some(Target::Defined { block, offset }) = symbol.map(|symbol| symbol.target) else {
        return Ok(None);
    };
    let Some(code) = graph.blocks.get(block.0 as usize) else {
        return Ok(None);
    };
    let offset = offset.checked_add_signed(edges[edge].addend);
    let offset = offset.filter(|offset| *offset <= code.size);
    Ok(Some(Code {
        edge,
        block,
        offset: offset.ok_or(OutsideSection)?,
    }))
}

/// What is wrong with a CIE, of which `bytes` follow its pointer: version, augmentation and so on.
fn fault_of_cie(bytes: &[u8]) -> Option<&'static str> {
    let (version, rest) = bytes.split_first()?;
    if !matches!(version, 1 | 3 | 4) {
        return Some("has an unknown version");
    }
    let augmentation = match memchr::memchr(0, rest) {
        Some(end) => &rest[..end],
        None => return Some("has an augmentation without end"),
    };
    match augmentation {
        // With a z, unwinders know how much to skip of what they do not know.
        b"" | [b'z', ..] | b"eh" => None,
        _ => Some("has an unknown augmentation"),
    }
}

#[cfg(test)]
mod tests;
