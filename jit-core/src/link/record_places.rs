//! Before memory becomes final: where each block went is written down, for whoever asks for the
//! name of an address later.

use orc_shared::{ExecutorAddr, ExecutorAddrRange};

use super::output_sections::Segment;
use super::parallel;
use super::state::{Link, Part};
use crate::graph::{BlockId, SectionKind};
use crate::symbolize::{NOT_PLACED, Placed, PlacedGroup, PlacedPart};

/// Enters a group's blocks into the session's placed code. Needs addresses; changes nothing of the
/// link.
pub(super) fn record_places(link: &Link, index: usize) -> Placed {
    let group = &link.groups[index];
    let segments = group.layout.segments[group.near_segments()].iter();
    let segments = segments.filter(|segment| segment.size > 0);
    let range = |segment: &Segment| ExecutorAddrRange::from_size(segment.address, segment.size);
    let ranges: Vec<_> = segments.map(range).collect();
    let lowest = ranges.iter().map(|range| range.start).min();
    let base = lowest.unwrap_or(ExecutorAddr::NULL);
    let offsets = parallel::map_some(&link.parts, &group.parts, |part| offsets(part, base));
    let part = |(&number, offsets): (&u32, Box<[u32]>)| {
        let part = &link.parts[number as usize];
        let unit = link.batch.units.get(number as usize);
        PlacedPart {
            object: unit.map(|unit| unit.object.clone()),
            describe: part.graph.describe.clone(),
            offsets,
        }
    };
    let placed = PlacedGroup {
        dylib: group.dylib,
        base,
        parts: group.parts.iter().zip(offsets).map(part).collect(),
    };
    link.context.placed.enter(placed, &ranges)
}

/// Per block, its offset from `base`.
fn offsets(part: &Part, base: ExecutorAddr) -> Box<[u32]> {
    let sections = &part.graph.sections;
    let blocks = (0u32..).map(BlockId).zip(&part.graph.blocks);
    let offset = blocks.map(|(id, block)| {
        // The place of a thread-local differs from thread to thread.
        let kind = sections[block.section.0 as usize].kind;
        let in_memory = block.live && block.size > 0 && kind != SectionKind::ThreadLocal;
        let offset = u32::try_from((block.address - base).value());
        if in_memory && !part.is_merged(id) {
            offset.unwrap_or(NOT_PLACED)
        } else {
            NOT_PLACED
        }
    });
    offset.collect()
}
