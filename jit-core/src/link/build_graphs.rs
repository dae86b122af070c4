//! Every object becomes a graph, in parallel, and is checked.
//!
//! Later steps index graphs without further checks; what would be out of bounds is refused here.

use hashbrown::HashMap;
use rayon::prelude::*;

use super::keep_statics::keep_statics;
use super::lead_to_stubs::lead_to_stubs;
use super::state::{FrameBlock, Group, Link, Part, join_errors};
use crate::batch::BatchUnit;
use crate::cpu::{Cpu, KindGroup, Kinds};
use crate::error::LinkError;
use crate::graph::{BlockId, Content, Edge, EdgeKind, LinkGraph, SymbolId, Target};
use crate::object::ObjectError;
use crate::platform::Passes;
use crate::threads;

/// Builds the graph of every unit, runs the platform's pre-prune passes, and sorts the parts into
/// groups.
pub(super) fn build_graphs<C: Cpu>(link: &mut Link) -> Result<(), LinkError> {
    let groups = assign_groups(link);
    let (passes, context) = (&link.passes, &*link.context);
    let ours = link.context.architecture;
    let allowed = allowed_kinds::<C>();
    let build = |(unit, group): (&BatchUnit, &u32)| -> Result<Part, LinkError> {
        let mut graph = unit.object.build_graph(&unit.claims)?;
        graph.apply(&unit.claims);
        lead_to_stubs::<C>(&mut graph, &unit.stubs, unit.replaceable.is_some());
        for pass in passes.get(&unit.dylib).iter().flat_map(|p| &p.pre_prune) {
            pass(&mut graph)?;
        }
        if let Some(architecture) = graph.architecture
            && architecture != ours
        {
            let name = &graph.name;
            return Err(ObjectError::for_another_cpu(name, architecture, ours).into());
        }
        check(&graph, &allowed).map_err(|message| {
            LinkError::Object(ObjectError {
                object: graph.name.clone(),
                message,
            })
        })?;
        let statics = match &unit.replaceable {
            None => None,
            Some(it) => {
                let running = it.running.as_deref();
                Some(Box::new(keep_statics(
                    &mut graph, context, unit.dylib, running,
                )?))
            }
        };
        let mut part = Part::new(graph, *group);
        part.statics = statics;
        part.frame_blocks = frame_blocks(&part.graph);
        Ok(part)
    };
    let units = &link.batch.units;
    let built: Vec<Result<Part, LinkError>> = if units.len() == 1 {
        units.iter().zip(&groups).map(build).collect()
    } else {
        let units = units.par_iter().zip(&groups).with_max_len(1);
        threads::share(|| units.map(build).collect())
    };
    if built.iter().any(Result::is_err) {
        return join_errors(built.into_iter().filter_map(Result::err).collect());
    }
    // In the memory of the results.
    link.parts = built.into_iter().filter_map(Result::ok).collect();
    Ok(())
}

/// The group of each unit, making the groups.
fn assign_groups(link: &mut Link) -> Vec<u32> {
    let mut known = HashMap::new();
    let mut of_units = Vec::with_capacity(link.batch.units.len());
    for (index, unit) in link.batch.units.iter().enumerate() {
        let group = *known.entry((unit.dylib, unit.tracker)).or_insert_with(|| {
            let mut group = Group::new(unit.dylib, unit.tracker);
            group.tls_in_module = link.in_modules.contains(&(unit.dylib, unit.tracker));
            link.groups.push(group);
            link.groups.len() as u32 - 1
        });
        link.groups[group as usize].parts.push(index as u32);
        of_units.push(group);
        link.passes.entry(unit.dylib).or_insert_with(|| {
            let mut passes = Passes::default();
            let platform = link.context.platforms.of(unit.dylib);
            platform.configure_passes(unit.dylib, &mut passes);
            passes
        });
    }
    of_units
}

/// Refuses a graph whose ids or offsets are out of bounds.
fn check(graph: &LinkGraph, allowed: &AllowedKinds) -> Result<(), String> {
    let symbols = graph.symbols.len() as u32;
    for (index, block) in graph.blocks.iter().enumerate() {
        let name = || graph.block_name(BlockId(index as u32));
        let (bytes, range) = match &block.content {
            Content::Input(range) => (graph.input.bytes().len(), range.clone()),
            Content::Owned(range) => (graph.owned.len(), range.clone()),
            Content::Zero => (0, 0..0),
            Content::FunctionNames => {
                return Err(format!(
                    "section {}: only the linker makes such content",
                    name()
                ));
            }
        };
        if range.start > range.end || range.end > bytes || range.len() as u64 > block.size {
            return Err(format!(
                "section {}: its content lies outside the file",
                name()
            ));
        }
        if block.section.0 as usize >= graph.sections.len() || !block.align.is_power_of_two() {
            return Err(format!("section {}: malformed header", name()));
        }
        let edges = graph
            .edges
            .get(block.edges.start as usize..block.edges.end as usize)
            .ok_or_else(|| format!("section {}: malformed relocations", name()))?;
        if graph.frames.len() < block.frames.end as usize || block.frames.start > block.frames.end {
            return Err(format!("section {}: malformed frames", name()));
        }
        if !are_plain(edges, block.size, symbols, allowed) {
            check_edges(edges, block.size, symbols, allowed)
                .map_err(|message| format!("section {}: {message}", name()))?;
        }
    }
    check_symbols_and_frames(graph)
}

/// Whether every edge is in bounds and needs no other one: those of most blocks, which this tells sooner than
/// [`check_edges`].
fn are_plain(edges: &[Edge], size: u64, symbols: u32, allowed: &AllowedKinds) -> bool {
    edges.iter().fold(true, |plain, edge| {
        let is_plain = matches!(allowed[usize::from(edge.kind.0)], Meets::Plain);
        let is_plain = is_plain & (edge.kind != EdgeKind::SUBTRAHEND);
        plain & is_plain & (u64::from(edge.offset) < size) & (edge.target.0 < symbols)
    })
}

/// Refuses edges that are out of bounds, or in an order that means nothing, of a block of `size` bytes.
fn check_edges(
    edges: &[Edge],
    size: u64,
    symbols: u32,
    allowed: &AllowedKinds,
) -> Result<(), String> {
    // Where a difference has to follow.
    let mut subtrahend = None;
    for edge in edges {
        let meets = allowed[usize::from(edge.kind.0)];
        let inside = u64::from(edge.offset) < size || edge.kind == EdgeKind::NONE;
        let paired = match (subtrahend.take(), meets) {
            (None, Meets::Plain) => true,
            (Some(offset), Meets::Difference) => offset == edge.offset,
            (None | Some(_), _) => false,
        };
        if edge.kind == EdgeKind::SUBTRAHEND {
            subtrahend = Some(edge.offset);
        }
        if !paired || !inside || edge.target.0 >= symbols {
            return Err(format!(
                "relocation at offset {:#x} lies outside the section, has an unknown type or names no symbol",
                edge.offset
            ));
        }
    }
    match subtrahend {
        Some(_) => Err("a relocation subtracts a symbol from nothing".to_owned()),
        None => Ok(()),
    }
}

/// Which edges of a kind an object may have.
#[derive(Clone, Copy)]
enum Meets {
    /// None.
    Never,
    /// Any.
    Plain,
    /// Those right behind what they subtract.
    Difference,
}

/// By the number of the kind.
type AllowedKinds = [Meets; 256];

fn allowed_kinds<C: Cpu>() -> AllowedKinds {
    let mut allowed = [Meets::Never; 256];
    for &kind in C::Kind::ALL {
        let facts = kind.facts();
        allowed[usize::from(kind.edge().0)] = match facts.group {
            KindGroup::Rewrite => Meets::Never,
            KindGroup::Fixup | KindGroup::Request if facts.subtracts => Meets::Difference,
            KindGroup::Fixup | KindGroup::Request => Meets::Plain,
        };
    }
    allowed
}

fn check_symbols_and_frames(graph: &LinkGraph) -> Result<(), String> {
    let blocks = graph.blocks.len() as u32;
    for (index, symbol) in graph.symbols.iter().enumerate() {
        let name = || graph.symbol_name(SymbolId(index as u32));
        match symbol.target {
            Target::Defined { block, .. } | Target::Computed { block, .. } if block.0 >= blocks => {
                return Err(format!("symbol {} lies in no section", name()));
            }
            Target::External if symbol.name.is_none() => {
                return Err(format!("undefined symbol {} has no name", name()));
            }
            Target::Defined { .. }
            | Target::Absolute(_)
            | Target::Computed { .. }
            | Target::External
            | Target::Discarded => {}
        }
    }
    for frame in &graph.frames {
        let (start, end) = frame.edges;
        if frame.block.0 >= blocks
            || frame.code.0 >= blocks
            || start > end
            || end as usize > graph.edges.len()
        {
            return Err("malformed frame descriptions".to_owned());
        }
    }
    Ok(())
}

/// The blocks that hold frames, with those of their edges that belong to no frame.
fn frame_blocks(graph: &LinkGraph) -> Vec<FrameBlock> {
    let mut blocks: Vec<BlockId> = Vec::new();
    let mut in_frames = vec![false; graph.edges.len()];
    for frame in &graph.frames {
        if blocks.last() != Some(&frame.block) && !blocks.contains(&frame.block) {
            blocks.push(frame.block);
        }
        in_frames[frame.edges.0 as usize..frame.edges.1 as usize].fill(true);
    }
    blocks.sort_unstable();
    let with_edges = |&block: &BlockId| {
        let edges = graph.blocks[block.0 as usize].edges.clone();
        FrameBlock {
            block,
            record_edges: edges.filter(|edge| !in_frames[*edge as usize]).collect(),
        }
    };
    blocks.iter().map(with_edges).collect()
}
