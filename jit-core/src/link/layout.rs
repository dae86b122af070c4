//! Where every live block lies within its group.
//!
//! Blocks of one output section are contiguous, in link order or by their sections' order keys.
//! Output sections are sorted by permission, the platform's rank and first appearance. What is
//! nothing but zeros comes last in its segment and is never touched. Thread-local sections form an
//! image of their own: initialized data, then zeros.

use hashbrown::HashMap;
use orc_shared::{ExecutorAddr, ExecutorAddrRange};

use super::output_sections::{Layout, Output, Placement, SEGMENTS, Segment};
use super::parallel;
use super::section_order::Ordered;
use super::state::{Group, Link, Part};
use crate::error::LinkError;
use crate::graph::{Block, BlockId, Content, Section, SectionKind};
use crate::name::{NameId, NameTable};
use crate::platform::LinkerDefined;

/// Bytes and edges (sixteen bytes each) that one task of the fix-up step takes.
const CHUNK_WEIGHT: u64 = 128 << 10;

/// Zero bytes that end a sequence of frames.
const FRAME_TERMINATOR: u64 = 4;

/// Lays all groups out: every live block gets its offset in its output section.
pub(super) fn lay_out(link: &mut Link) -> Result<(), LinkError> {
    parallel::each_part(&mut link.parts, |_, part| {
        part.placements = placements(part);
        Ok(())
    })?;
    let (names, platforms) = (&link.context.names, &link.context.platforms);
    for group in &mut link.groups {
        let platform = platforms.of(group.dylib);
        let mut layout = Layout::default();
        let mut known = HashMap::new();
        for &part in &group.parts {
            find_outputs(
                &mut link.parts[part as usize],
                &mut layout,
                &mut known,
                |name| platform.section_rank(&names.bytes(name)),
            );
        }
        place_blocks(&mut link.parts, &group.parts, &mut layout, names);
        place_outputs(&mut layout);
        tracing::debug!(
            text = layout.segments[0].size,
            read_only = layout.segments[1].size,
            read_write = layout.segments[2].content_size,
            zero = layout.segments[2].size - layout.segments[2].content_size,
            thread_local = layout.tls.size,
            "laid out"
        );
        group.layout = layout;
    }
    Ok(())
}

fn placements(part: &Part) -> Vec<Placement> {
    let blocks = (0u32..).zip(&part.graph.blocks);
    let placement = |(number, block): (u32, &Block)| Placement {
        block: BlockId(number),
        section: block.section,
        size: block.size,
        offset: 0,
        edges: block.edges.len() as u32,
        align: block.align.trailing_zeros() as u8,
        zero: block.content == Content::Zero && block.edges.is_empty(),
    };
    blocks
        .filter(|(number, block)| block.live && !part.is_merged(BlockId(*number)))
        .map(placement)
        .collect()
}

/// The output section of each of a part's sections, made if new.
fn find_outputs(
    part: &mut Part,
    layout: &mut Layout,
    known: &mut HashMap<(NameId, SectionKind), u32>,
    rank: impl Fn(NameId) -> u32,
) {
    let outputs = &mut layout.outputs;
    let mut find = |section: &Section| -> u32 {
        let index = *known
            .entry((section.output, section.kind))
            .or_insert_with(|| {
                outputs.push(Output {
                    name: section.output,
                    kind: section.kind,
                    rank: rank(section.output),
                    zero: true,
                    ordered: false,
                    frames: false,
                    align: 1,
                    size: 0,
                    offset: 0,
                    blocks: Vec::new(),
                    chunks: Vec::new(),
                    chunk_weight: CHUNK_WEIGHT,
                    address: ExecutorAddr::NULL,
                });
                outputs.len() as u32 - 1
            });
        outputs[index as usize].ordered |= section.order != 0;
        index
    };
    part.outputs = part.graph.sections.iter().map(&mut find).collect();
    for frame_block in &part.frame_blocks {
        let block = &part.graph.blocks[frame_block.block.0 as usize];
        if block.live {
            let output = part.outputs[block.section.0 as usize];
            outputs[output as usize].frames = true;
        }
    }
}

/// Gives every live block its offset: in link order, or in that of the sections' order keys.
fn place_blocks(parts: &mut [Part], of_group: &[u32], layout: &mut Layout, names: &NameTable) {
    let mut ordered = Ordered::default();
    for &index in of_group {
        let part = &mut parts[index as usize];
        for (number, placement) in part.placements.iter_mut().enumerate() {
            let section = placement.section.0 as usize;
            let output = &mut layout.outputs[part.outputs[section] as usize];
            if output.ordered {
                let section = &part.graph.sections[section];
                let block = (index, number as u32);
                ordered.add(section.order, section.order_name, block);
            } else {
                output.place(index, placement);
            }
        }
    }
    let output_of = |(index, number): (u32, u32)| {
        let part = &parts[index as usize];
        part.outputs[part.placements[number as usize].section.0 as usize]
    };
    for (index, number) in ordered.finish(names, output_of).into_iter().flatten() {
        let part = &mut parts[index as usize];
        let placement = &mut part.placements[number as usize];
        let output = part.outputs[placement.section.0 as usize];
        layout.outputs[output as usize].place(index, placement);
    }
    for output in layout.outputs.iter_mut().filter(|output| output.frames) {
        output.size = output.size.saturating_add(FRAME_TERMINATOR);
    }
}

/// Per block of a part: its offset in the segment of code, for what lies there.
pub(super) fn code_offsets(part: &Part, layout: &Layout) -> HashMap<BlockId, u64> {
    let placements = part.placements.iter();
    let in_code = placements.filter_map(|placement| {
        let output = part.outputs[placement.section.0 as usize];
        let output = &layout.outputs[output as usize];
        (output.kind == SectionKind::Text)
            .then(|| (placement.block, output.offset + placement.offset))
    });
    in_code.collect()
}

/// Inserts blocks of the linker's part, each before the block of an index in an output section, and lays
/// the group out again. The blocks come in the order of their places.
pub(super) fn insert_blocks(
    link: &mut Link,
    group: u32,
    inserted: Vec<(u32, u32, (u32, BlockId))>,
) {
    let group = &mut link.groups[group as usize];
    let Some(linker_part) = group.linker_part else {
        return;
    };
    let part = &mut link.parts[linker_part as usize];
    part.placements = placements(part);
    let mut layout = std::mem::take(&mut group.layout);
    let known = layout.outputs.iter().zip(0u32..);
    let mut known = known.map(|(o, index)| ((o.name, o.kind), index)).collect();
    find_outputs(part, &mut layout, &mut known, |_| 0);
    let mut inserted = inserted.into_iter().peekable();
    for (number, output) in (0u32..).zip(&mut layout.outputs) {
        let blocks = std::mem::take(&mut output.blocks);
        output.restart();
        let end = blocks.len() as u32;
        let old = blocks.into_iter().map(Some).chain([None]);
        for (index, block) in (0..=end).zip(old) {
            while let Some((_, _, island)) = inserted.next_if(|it| (it.0, it.1) == (number, index))
            {
                place_again(&mut link.parts, output, island);
            }
            if let Some(block) = block {
                place_again(&mut link.parts, output, block);
            }
        }
        if output.frames {
            output.size = output.size.saturating_add(FRAME_TERMINATOR);
        }
    }
    place_outputs(&mut layout);
    group.layout = layout;
}

/// Appends a block that has a placement.
fn place_again(parts: &mut [Part], output: &mut Output, (part, block): (u32, BlockId)) {
    let placements = &mut parts[part as usize].placements;
    // They are in the order of their blocks.
    if let Ok(number) = placements.binary_search_by_key(&block, |placement| placement.block) {
        output.place(part, &mut placements[number]);
    }
}

impl Output {
    /// Without blocks again.
    fn restart(&mut self) {
        self.zero = true;
        self.align = 1;
        self.size = 0;
        self.offset = 0;
        self.blocks = Vec::new();
        self.chunks = Vec::new();
        self.chunk_weight = CHUNK_WEIGHT;
    }

    /// Appends a block of a part.
    fn place(&mut self, part: u32, placement: &mut Placement) {
        let align = 1 << placement.align;
        let offset = align_up(self.size, align);
        placement.offset = offset;
        if self.chunk_weight >= CHUNK_WEIGHT {
            self.chunks.push((self.blocks.len() as u32, offset));
            self.chunk_weight = 0;
        }
        self.chunk_weight += placement.size + 16 * u64::from(placement.edges);
        self.zero &= placement.zero;
        self.align = self.align.max(align);
        self.size = offset.saturating_add(placement.size);
        self.blocks.push((part, placement.block));
    }
}

/// Gives each output section its offset in its segment.
fn place_outputs(layout: &mut Layout) {
    layout.segments = Default::default();
    layout.tls = Segment::default();
    let mut order: Vec<u32> = (0..layout.outputs.len() as u32).collect();
    order.sort_by_key(|&index| {
        let output = &layout.outputs[index as usize];
        let segment = output.kind.segment().unwrap_or(SEGMENTS.len());
        (segment, output.zero, output.rank, index)
    });
    for &index in &order {
        let output = &mut layout.outputs[index as usize];
        let segment = match output.kind.segment() {
            Some(segment) => &mut layout.segments[segment],
            None => &mut layout.tls,
        };
        output.offset = align_up(segment.size, output.align);
        segment.size = output.offset.saturating_add(output.size);
        segment.align = segment.align.max(output.align);
        if !output.zero {
            segment.content_size = segment.size;
        }
    }
    layout.order = order;
}

fn align_up(value: u64, align: u64) -> u64 {
    value.checked_next_multiple_of(align).unwrap_or(u64::MAX)
}

/// Turns every block's offset in its output section into its address, once the groups have
/// memory.
pub(super) fn assign_addresses(link: &mut Link) -> Result<(), LinkError> {
    for group in &mut link.groups {
        let layout = &mut group.layout;
        for output in &mut layout.outputs {
            let base = match output.kind.segment() {
                Some(segment) => layout.segments[segment].address,
                None => ExecutorAddr::NULL,
            };
            output.address = base + output.offset;
        }
    }
    let groups = &link.groups;
    parallel::each_part(&mut link.parts, |_, part| {
        let outputs = &groups[part.group as usize].layout.outputs;
        for placement in std::mem::take(&mut part.placements) {
            let output = part.outputs[placement.section.0 as usize];
            let address = outputs[output as usize].address + placement.offset;
            part.graph.blocks[placement.block.0 as usize].address = address;
        }
        Ok(())
    })
}

/// The output sections of a group with their places, in address order; thread-local ones are left
/// out, because what lies at their offsets differs from thread to thread.
pub(super) fn sections_in_order(group: &Group) -> Vec<(NameId, ExecutorAddrRange)> {
    let outputs = &group.layout.outputs;
    let ordered = group.layout.order.iter();
    ordered
        .map(|&index| &outputs[index as usize])
        .filter(|output| output.kind != SectionKind::ThreadLocal)
        .map(|output| {
            let range = ExecutorAddrRange::from_size(output.address, output.size);
            (output.name, range)
        })
        .collect()
}

/// The data of a group that its code may write: not pointers of stubs.
pub(super) fn writable(group: &Group, stub_pointers: NameId) -> Vec<ExecutorAddrRange> {
    let outputs = group.layout.outputs.iter();
    let is_written = |output: &&Output| {
        let kind = output.kind;
        let is_writable = kind == SectionKind::ReadWrite || kind == SectionKind::LargeReadWrite;
        is_writable && output.size > 0 && output.name != stub_pointers
    };
    outputs
        .filter(is_written)
        .map(|output| ExecutorAddrRange::from_size(output.address, output.size))
        .collect()
}

/// The value of a symbol that the linker defines from the layout of a group; `None` for one that
/// the layout does not tell.
pub(super) fn linker_defined(
    group: &Group,
    names: &NameTable,
    defined: &LinkerDefined,
) -> Option<ExecutorAddr> {
    use LinkerDefined as L;
    let segments = &group.layout.segments;
    let any = segments
        .iter()
        .find(|segment| segment.size > 0)
        .map_or(group.extent.start, |segment| segment.address);
    let bounds = |name: &str| {
        let section = names.find(name.as_bytes());
        let range = section.and_then(|name| group.layout.section(name));
        // One of which nothing was kept has no place.
        let range = range.filter(|range| !range.start.is_null());
        range.unwrap_or(ExecutorAddrRange {
            start: any,
            end: any,
        })
    };
    let or_any = |segment: &Segment, size: u64| {
        if segment.size > 0 {
            segment.address + size
        } else {
            any
        }
    };
    let address = match defined {
        L::SectionStart(name) => bounds(name).start,
        L::SectionEnd(name) => bounds(name).end,
        L::SectionSize(name) => ExecutorAddr::new(bounds(name).size()),
        L::TextEnd => or_any(&segments[0], segments[0].size),
        L::DataEnd => or_any(&segments[2], segments[2].content_size),
        L::ImageEnd => or_any(&segments[2], segments[2].size),
        L::ImageStart => group.extent.start,
        L::TextStart => or_any(&segments[0], 0),
        L::GotBase => ExecutorAddr::new(group.got_base),
        L::DylibHeader => return None,
        L::TlsModuleBase => ExecutorAddr::NULL,
    };
    Some(address)
}
