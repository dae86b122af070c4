//! Fourth step: how live edges use each symbol, and which frames die with their code.
//!
//! A frame whose code is gone loses its edges. Its bytes stay, with the zero that relocatable
//! objects have as the code's start, which unwinders skip.

use super::parallel;
use super::state::{Link, OWN, Part, Uses, table_of_symbols};
use crate::arch::x86_64::Kind;
use crate::arch::x86_64::lower;
use crate::error::LinkError;
use crate::graph::Target;

/// Fills [`Part::uses`] and the externals' uses, and decides which groups must lie low.
pub(super) fn survey(link: &mut Link) -> Result<(), LinkError> {
    parallel::each_part(&mut link.parts, |_, part| {
        drop_dead_frames(part);
        survey_part(part);
        Ok(())
    })?;
    for part in &link.parts {
        let mut low = false;
        for (index, uses) in part.uses.iter().enumerate() {
            if uses.is_empty() {
                continue;
            }
            let external = part.externals[index];
            if external != OWN {
                link.externals[external as usize].uses |= *uses;
            }
            low |= uses.contains(Uses::LOW)
                && !matches!(part.graph.symbols[index].target, Target::Absolute(_));
        }
        link.groups[part.group as usize].low |= low;
    }
    Ok(())
}

fn drop_dead_frames(part: &mut Part) {
    let graph = &mut part.graph;
    for frame in &graph.frames {
        if !graph.blocks[frame.code.0 as usize].live {
            let (start, end) = frame.edges;
            for edge in &mut graph.edges[start as usize..end as usize] {
                edge.kind = Kind::None.edge();
            }
        }
    }
}

fn survey_part(part: &mut Part) {
    let table = uses_of_kinds();
    let mut uses = table_of_symbols(part, Uses::empty());
    let graph = &part.graph;
    for block in graph.blocks.iter().filter(|block| block.live) {
        for edge in &graph.edges[block.edges.start as usize..block.edges.end as usize] {
            uses[edge.target.0 as usize] |= table[edge.kind.0 as usize & 127];
        }
    }
    part.uses = uses;
}

/// What each kind says of its target.
fn uses_of_kinds() -> [Uses; 128] {
    let mut table = [Uses::empty(); 128];
    for &kind in Kind::ALL {
        let mut uses = Uses::ANY;
        uses.set(Uses::DIRECT, lower::is_direct(kind));
        uses.set(Uses::LOW, lower::needs_low(kind));
        if kind != Kind::None {
            table[kind as usize] = uses;
        }
    }
    table
}
