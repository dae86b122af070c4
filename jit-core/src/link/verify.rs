//! Checks, in debug builds, that the layout kept its promises.

use super::output_sections::{Output, SEGMENTS, Segment};
use super::parallel;
use super::state::{Group, Link, Part};
use crate::cpu::{Cpu, KindGroup, Kinds};
use crate::error::LinkError;
use crate::graph::{BlockId, SectionKind};

/// Fails if blocks overlap, are misaligned or lie outside their segments, or if a request is left
/// among the edges of live blocks. Runs after addresses are assigned.
pub(super) fn verify<C: Cpu>(link: &mut Link) -> Result<(), LinkError> {
    for group in &link.groups {
        verify_group(&link.parts, group)?;
    }
    parallel::each_part(&mut link.parts, |_, part| verify_edges::<C>(part))
}

fn broken(what: &str) -> LinkError {
    LinkError::Internal(format!("the layout broke a promise: {what}"))
}

fn verify_group(parts: &[Part], group: &Group) -> Result<(), LinkError> {
    let layout = &group.layout;
    let mut ends = [0; SEGMENTS.len() + 1];
    for &index in &layout.order {
        let output = &layout.outputs[index as usize];
        let segment = output.kind.segment();
        let place = segment.map_or(&layout.tls, |index| &layout.segments[index]);
        let end = &mut ends[segment.unwrap_or(SEGMENTS.len())];
        if output.offset < *end {
            return Err(broken("output sections overlap"));
        }
        *end = output.offset + output.size;
        verify_output(parts, output, place)?;
    }
    Ok(())
}

fn verify_output(parts: &[Part], output: &Output, segment: &Segment) -> Result<(), LinkError> {
    let content_end = output.offset + output.size;
    if content_end > segment.size || (!output.zero && content_end > segment.content_size) {
        return Err(broken("an output section lies outside its segment"));
    }
    let mut end = output.address;
    for &(part, block) in &output.blocks {
        let block = &parts[part as usize].graph.blocks[block.0 as usize];
        if block.address < end {
            return Err(broken("blocks overlap"));
        }
        if !block.address.value().is_multiple_of(block.align)
            && output.kind != SectionKind::ThreadLocal
        {
            return Err(broken("a block is misaligned"));
        }
        end = block.address + block.size;
    }
    if end > output.address + output.size {
        return Err(broken("a block lies outside its output section"));
    }
    Ok(())
}

fn verify_edges<C: Cpu>(part: &mut Part) -> Result<(), LinkError> {
    let graph = &part.graph;
    for (index, block) in graph.blocks.iter().enumerate() {
        if !block.live {
            continue;
        }
        for edge in graph.edges_of(BlockId(index as u32)) {
            let kind = C::Kind::from_edge(edge.kind);
            if kind.is_none_or(|kind| kind.facts().group == KindGroup::Request) {
                return Err(LinkError::Internal(format!(
                    "{}: {kind:?} was not lowered",
                    graph.name
                )));
            }
        }
    }
    Ok(())
}
