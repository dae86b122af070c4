//! How live edges use each symbol, which frames die with their code, and what must lie
//! low.
//!
//! What must lie below 2 GiB: what code refers to with 32-bit absolute addresses, and code that refers
//! to a number (`abs = 0x1000`) with a distance, in an instruction that cannot be rewritten.
//!
//! A frame whose code is gone loses its edges. Its bytes stay, with the zero that relocatable
//! objects have as the code's start, which unwinders skip.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use super::parallel;
use super::state::{External, Link, OWN, Part, Uses, table_of_symbols};
use crate::cpu::{Cpu, Kinds, Place};
use crate::error::LinkError;
use crate::graph::{BlockId, EdgeKind, SectionKind, Target};
use crate::object::SymbolKind;

/// Fills [`Part::uses`] and the externals' uses, and decides which groups must lie low.
pub(super) fn survey<C: Cpu>(link: &mut Link) -> Result<(), LinkError> {
    let of_externals: Vec<AtomicU8> = link.externals.iter().map(|_| AtomicU8::new(0)).collect();
    let low: Vec<AtomicBool> = link.groups.iter().map(|_| AtomicBool::new(false)).collect();
    let of_kinds = uses_of_kinds::<C>();
    parallel::each_part(&mut link.parts, |_, part| {
        drop_dead_frames(part);
        part.uses = uses_in(part, &of_kinds);
        if note_uses(part, &of_externals) {
            low[part.group as usize].store(true, Ordering::Relaxed);
        }
        Ok(())
    })?;
    for (external, uses) in link.externals.iter_mut().zip(of_externals) {
        external.uses |= Uses::from_bits_truncate(uses.into_inner());
    }
    find_direct_numbers::<C>(link, &low)?;
    for (group, low) in link.groups.iter_mut().zip(low) {
        group.low |= low.into_inner();
    }
    Ok(())
}

/// Tells the externals how a part uses them. Returns whether the part must lie low.
fn note_uses(part: &Part, of_externals: &[AtomicU8]) -> bool {
    let mut low = false;
    for (index, uses) in part.uses.iter().enumerate() {
        if uses.is_empty() {
            continue;
        }
        let external = part.externals[index];
        if external != OWN {
            let mut uses = *uses;
            let kind = part.graph.symbols[index].kind;
            uses.set(Uses::THREAD_LOCAL, kind == SymbolKind::ThreadLocal);
            let known = &of_externals[external as usize];
            if known.load(Ordering::Relaxed) & uses.bits() != uses.bits() {
                known.fetch_or(uses.bits(), Ordering::Relaxed);
            }
        }
        low |= uses.contains(Uses::LOW)
            && !matches!(
                part.graph.symbols[index].target,
                Target::Absolute(_) | Target::Computed { .. }
            );
    }
    low
}

/// Notes the groups with code that refers to a number by its distance. Edges are looked at only in parts
/// that refer directly to one.
fn find_direct_numbers<C: Cpu>(link: &mut Link, low: &[AtomicBool]) -> Result<(), LinkError> {
    let externals = &link.externals;
    parallel::each_part(&mut link.parts, |_, part| {
        let is_low = &low[part.group as usize];
        if !is_low.load(Ordering::Relaxed) && refers_to_number::<C>(part, externals) {
            is_low.store(true, Ordering::Relaxed);
        }
        Ok(())
    })
}

fn refers_to_number<C: Cpu>(part: &Part, externals: &[External]) -> bool {
    let is_number = |symbol: usize| match part.graph.symbols[symbol].target {
        Target::External => match part.externals[symbol] {
            OWN => false,
            external => externals[external as usize].number,
        },
        target => target.is_number(),
    };
    let direct = part.uses.iter().enumerate();
    let mut direct = direct.filter(|(_, uses)| uses.contains(Uses::DIRECT));
    if !direct.any(|(symbol, _)| is_number(symbol)) {
        return false;
    }
    let graph = &part.graph;
    let blocks = graph.blocks.iter().zip(0u32..);
    let mut live = blocks.filter(|(block, _)| block.live);
    live.any(|(block, id)| {
        let in_text = graph.sections[block.section.0 as usize].kind == SectionKind::Text;
        let place = Place {
            content: graph.content(BlockId(id)),
            next: None,
            in_text,
        };
        graph
            .edges_of(BlockId(id))
            .iter()
            .any(|edge| is_number(edge.target.0 as usize) && C::needs_low_code(edge, &place))
    })
}

fn drop_dead_frames(part: &mut Part) {
    let graph = &mut part.graph;
    for frame in &graph.frames {
        if !graph.blocks[frame.code.0 as usize].live {
            let (start, end) = frame.edges;
            for edge in &mut graph.edges[start as usize..end as usize] {
                edge.kind = EdgeKind::NONE;
            }
        }
    }
}

fn uses_in(part: &Part, of_kinds: &[Uses; 256]) -> Vec<Uses> {
    let mut uses = table_of_symbols(part, Uses::empty());
    let graph = &part.graph;
    for block in graph.blocks.iter().filter(|block| block.live) {
        for edge in &graph.edges[block.edges.start as usize..block.edges.end as usize] {
            uses[edge.target.0 as usize] |= of_kinds[usize::from(edge.kind.0)];
        }
    }
    uses
}

/// What each kind says of its target.
fn uses_of_kinds<C: Cpu>() -> [Uses; 256] {
    let mut table = [Uses::empty(); 256];
    for &kind in C::Kind::ALL {
        let facts = kind.facts();
        let mut uses = Uses::ANY;
        uses.set(Uses::DIRECT, facts.direct);
        uses.set(Uses::LOW, facts.needs_low);
        uses.set(Uses::TABLE, facts.through_table);
        table[usize::from(kind.edge().0)] = uses;
    }
    table[usize::from(EdgeKind::NONE.0)] = Uses::empty();
    table
}
