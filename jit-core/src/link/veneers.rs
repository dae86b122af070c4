//! Veneers, where branches do not reach all of a group's code.
//!
//! A branch that leads too far goes to a veneer nearby, which jumps on. Veneers lie in *islands*
//! between blocks of code, at most a quarter of a branch's reach apart, and where that falls inside a
//! larger block, before and behind it. So a group's code may be of any size, and a block of code
//! nearly twice as large as a branch leads.

use hashbrown::HashMap;

use super::layout;
use super::linker_part::{self, NewBlock};
use super::output_sections::Layout;
use super::parallel;
use super::state::{Bound, External, Link, Needs, OWN, Part, Uses};
use crate::batch::Resolution;
use crate::cpu::{Cpu, Kinds, Reach, TargetClass};
use crate::error::LinkError;
use crate::graph::{BlockId, SectionKind, SymbolId, Target};
use crate::object::SymbolKind;

/// The segment of code, as an index into [`super::output_sections::SEGMENTS`].
const TEXT: usize = 0;

/// Leads branches that do not reach their targets through veneers. Groups of usual size need none.
pub(super) fn add_veneers<C: Cpu>(link: &mut Link) -> Result<(), LinkError> {
    let Some(reach) = C::BRANCH_REACH else {
        return Ok(());
    };
    for group in 0..link.groups.len() as u32 {
        // Islands push what is behind them away: a sixteenth of the reach is for them.
        let safe = reach - reach / 16;
        if link.groups[group as usize].layout.segments[TEXT].size > safe {
            add_to_group::<C>(link, group, safe)?;
        }
    }
    Ok(())
}

/// Where a branch leads: a symbol of a part, and the distance from it.
type Destination = (u32, SymbolId, i64);

/// A branch that does not reach.
struct FarBranch {
    part: u32,
    edge: u32,
    /// Its offset in the segment.
    place: u64,
    to: Destination,
}

/// A place where an island may be: before the block of this index in the output section.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Gap {
    output: u32,
    index: u32,
}

fn add_to_group<C: Cpu>(link: &mut Link, group: u32, safe: u64) -> Result<(), LinkError> {
    let offsets = offsets_in_segment(link, group);
    let branches = far_branches::<C>(link, group, &offsets, safe);
    if branches.is_empty() {
        return Ok(());
    }
    let gaps = gaps(link, group, &offsets, safe / 4);
    let mut islands: HashMap<Gap, Vec<Destination>> = HashMap::new();
    let mut numbers: HashMap<(Gap, Destination), u64> = HashMap::new();
    let mut led = Vec::with_capacity(branches.len());
    for branch in branches {
        // One that no island is near enough to is left: its fixup will tell.
        let Some(gap) = gap_near(&gaps, branch.place, safe) else {
            continue;
        };
        let number = *numbers.entry((gap, branch.to)).or_insert_with(|| {
            let island = islands.entry(gap).or_default();
            island.push(branch.to);
            island.len() as u64 - 1
        });
        led.push((branch, gap, number));
    }
    let mut islands: Vec<(Gap, Vec<Destination>)> = islands.into_iter().collect();
    islands.sort_unstable_by_key(|(gap, _)| *gap);
    let mut blocks = HashMap::new();
    for (gap, destinations) in &islands {
        blocks.insert(*gap, make_island::<C>(link, group, *gap, destinations));
    }
    for (branch, gap, number) in led {
        lead_to_veneer::<C>(link, group, &branch, blocks[&gap], number);
    }
    let placed = islands
        .iter()
        .map(|(gap, _)| (gap.output, gap.index, blocks[gap]));
    layout::insert_blocks(link, group, placed.collect());
    Ok(())
}

/// Per part of the group and per block: the offset in the segment of code, for what lies there.
struct Offsets {
    of_parts: HashMap<u32, HashMap<BlockId, u64>>,
}

impl Offsets {
    fn get(&self, part: u32, block: BlockId) -> Option<u64> {
        self.of_parts.get(&part)?.get(&block).copied()
    }
}

fn offsets_in_segment(link: &Link, group: u32) -> Offsets {
    let group = &link.groups[group as usize];
    let of_part = |&part: &u32| {
        (
            part,
            layout::code_offsets(&link.parts[part as usize], &group.layout),
        )
    };
    Offsets {
        of_parts: group.parts.iter().map(of_part).collect(),
    }
}

/// The branches of a group that lead further than they reach.
fn far_branches<C: Cpu>(link: &Link, group: u32, offsets: &Offsets, safe: u64) -> Vec<FarBranch> {
    let limited = limited_kinds::<C>();
    let of_parts = parallel::map_parts(&link.parts, |number, part| {
        let mut found = Vec::new();
        if part.group != group {
            return found;
        }
        let Some(of_part) = offsets.of_parts.get(&(number)) else {
            return found;
        };
        for (&block, &start) in of_part {
            let range = part.graph.blocks[block.0 as usize].edges.clone();
            for (edge, number_of_edge) in part.graph.edges_of(block).iter().zip(range) {
                if !limited[usize::from(edge.kind.0)] {
                    continue;
                }
                let place = start + u64::from(edge.offset);
                let to = destination(link, number, edge.target);
                let Some(target) = offset_of(link, offsets, to) else {
                    continue;
                };
                let distance = target.wrapping_add_signed(edge.addend).wrapping_sub(place);
                if distance.cast_signed().unsigned_abs() >= safe {
                    found.push(FarBranch {
                        part: number,
                        edge: number_of_edge,
                        place,
                        to: (to.0, to.1, edge.addend.wrapping_sub(C::BRANCH_ADDEND)),
                    });
                }
            }
        }
        found.sort_unstable_by_key(|branch| branch.place);
        found
    });
    of_parts.into_iter().flatten().collect()
}

/// Per kind: whether it is that of a branch, which veneers help.
fn limited_kinds<C: Cpu>() -> [bool; 256] {
    let mut limited = [false; 256];
    for &kind in C::Kind::ALL {
        let is_branch = C::Kind::ALL
            .iter()
            .any(|&branch| branch != kind && C::close(branch) == Some(kind));
        let reach = match kind.facts().reach {
            Reach::All => None,
            Reach::Bits(bits) => 1_u64.checked_shl(u32::from(bits) - 1),
        };
        limited[usize::from(kind.edge().0)] = is_branch && reach == C::BRANCH_REACH;
    }
    limited
}

/// The definition behind a symbol of a part.
fn destination(link: &Link, part: u32, symbol: SymbolId) -> (u32, SymbolId) {
    match link.parts[part as usize].external(symbol) {
        None => (part, symbol),
        Some(external) => match link.externals[external as usize].bound {
            Bound::Part { part, symbol } => (part, symbol),
            _ => (part, symbol),
        },
    }
}

fn offset_of(link: &Link, offsets: &Offsets, (part, symbol): (u32, SymbolId)) -> Option<u64> {
    match link.parts[part as usize].graph.symbols[symbol.0 as usize].target {
        Target::Defined { block, offset } => Some(offsets.get(part, block)? + offset),
        Target::Absolute(_) | Target::Computed { .. } | Target::External | Target::Discarded => {
            None
        }
    }
}

/// Where islands may be, with their offsets in the segment: at the ends of all output sections of code,
/// and between blocks, `apart` bytes from each other.
fn gaps(link: &Link, group: u32, offsets: &Offsets, apart: u64) -> Vec<(Gap, u64)> {
    let layout: &Layout = &link.groups[group as usize].layout;
    let mut gaps = Vec::new();
    for &number in &layout.order {
        let output = &layout.outputs[number as usize];
        if output.kind != SectionKind::Text || output.blocks.is_empty() {
            continue;
        }
        let mut last = None;
        for (index, &(part, block)) in (0u32..).zip(&output.blocks) {
            let Some(start) = offsets.get(part, block) else {
                continue;
            };
            let size = link.parts[part as usize].graph.blocks[block.0 as usize].size;
            // Before a block that would lead too far from the last island.
            if last.is_none_or(|last| start + size - last > apart) {
                let gap = Gap {
                    output: number,
                    index,
                };
                gaps.push((gap, start));
                last = Some(start);
            }
        }
        let end = Gap {
            output: number,
            index: output.blocks.len() as u32,
        };
        gaps.push((end, output.offset + output.size));
    }
    gaps
}

/// The last place for an island before a branch, or the first behind it, if that is near enough.
fn gap_near(gaps: &[(Gap, u64)], place: u64, safe: u64) -> Option<Gap> {
    let behind = gaps.partition_point(|(_, at)| *at <= place);
    let around = [behind.checked_sub(1), Some(behind)];
    let mut around = around
        .into_iter()
        .flatten()
        .filter_map(|number| gaps.get(number));
    let near = around.find(|(_, at)| at.abs_diff(place) < safe);
    near.map(|(gap, _)| *gap)
}

/// Makes the veneers of an island: a block of the linker's part.
fn make_island<C: Cpu>(
    link: &mut Link,
    group: u32,
    gap: Gap,
    destinations: &[Destination],
) -> (u32, BlockId) {
    let name = link.groups[group as usize].layout.outputs[gap.output as usize].name;
    let section = linker_part::section(link, group, name, SectionKind::Text);
    let bytes = C::VENEER.code.repeat(destinations.len());
    let mut block = NewBlock::bytes(section, &bytes, C::VENEER.align);
    for (number, &(part, symbol, distance)) in destinations.iter().enumerate() {
        let target = refer_from_linker_part(link, group, (part, symbol));
        let start = (number * C::VENEER.code.len()) as u32;
        let edges: Vec<_> = C::VENEER
            .edges
            .iter()
            .map(|&(offset, kind, addend)| (start + offset, kind, addend + distance))
            .collect();
        block = block.with_edges(&edges, target);
    }
    let (part, symbol) = linker_part::define(link, group, block, SymbolKind::Function);
    match link.parts[part as usize].graph.symbols[symbol.0 as usize].target {
        Target::Defined { block, .. } => (part, block),
        // What was just defined has a block.
        _ => (part, BlockId(0)),
    }
}

/// A symbol of the linker's part that stands for a definition of another.
fn refer_from_linker_part(link: &mut Link, group: u32, to: (u32, SymbolId)) -> SymbolId {
    let external = refer(link, to);
    let part = linker_part::of_group(link, group);
    let part = &mut link.parts[part as usize];
    linker_part::add_symbol(part, Target::External, SymbolKind::None, 0, external)
}

/// An external that is bound to a definition.
fn refer(link: &mut Link, (part, symbol): (u32, SymbolId)) -> u32 {
    let name = link.parts[part as usize].graph.symbols[symbol.0 as usize].name;
    let name = name.unwrap_or_else(|| link.context.names.intern(b"veneer"));
    let number = link.externals.len() as u32;
    link.externals.push(External {
        name,
        dylib: link.dylib_of(part),
        resolution: Resolution::InBatch { unit: part, symbol },
        bound: Bound::Part { part, symbol },
        class: TargetClass::Near {
            low: false,
            close: true,
        },
        size: 0,
        uses: Uses::ANY,
        number: false,
        is_code: true,
    });
    link.needs.push(Needs::empty());
    number
}

/// Leads a branch to a veneer.
fn lead_to_veneer<C: Cpu>(
    link: &mut Link,
    group: u32,
    branch: &FarBranch,
    (linker_part, block): (u32, BlockId),
    number: u64,
) {
    let offset = number * C::VENEER.code.len() as u64;
    let target = Target::Defined { block, offset };
    debug_assert_eq!(link.groups[group as usize].linker_part, Some(linker_part));
    let veneers = &mut link.parts[linker_part as usize];
    let veneer = linker_part::add_symbol(veneers, target, SymbolKind::Function, 0, OWN);
    let symbol = match branch.part == linker_part {
        true => veneer,
        false => {
            let external = refer(link, (linker_part, veneer));
            let part: &mut Part = &mut link.parts[branch.part as usize];
            linker_part::add_symbol(part, Target::External, SymbolKind::None, 0, external)
        }
    };
    let edge = &mut link.parts[branch.part as usize].graph.edges[branch.edge as usize];
    edge.target = symbol;
    edge.addend = C::BRANCH_ADDEND;
}
