//! Puts a graph together.

use std::sync::Arc;

use jit_core::graph::{BlockId, Content, LinkGraph, Target};
use jit_core::object::Claims;
use object::LittleEndian as LE;
use object::elf::{SHF_ALLOC, SHF_EXECINSTR};
use object::read::elf::SectionHeader as _;

use super::blocks::Blocks;
use super::describe::Describe;
use super::keep_alive::KeepAlive;
use super::symbols::Symbols;
use super::view::View;
use super::{ElfObject, relocations, symbols};
use crate::eh_frame;

/// Builds the object's graph.
///
/// # Errors
/// What is wrong with the object, and where.
pub(super) fn build(object: &ElfObject, claims: &Claims) -> Result<LinkGraph, String> {
    let view = View::parse(object.input.bytes())?;
    let groups = &object.groups;
    let is_lost = |section| {
        !claims.lost_groups.is_empty()
            && groups
                .of(section)
                .is_some_and(|g| claims.lost_groups.binary_search(&g).is_ok())
    };
    let mut blocks = Blocks::read(&view, &object.names, is_lost)?;
    let Symbols {
        mut symbols,
        commons,
        functions,
    } = symbols::read(&view, &object.names, &object.global_names, &mut blocks)?;
    symbols::mark_thread_locals(&view, &mut symbols, &blocks.blocks, &blocks.sections);
    // Relocations may only refer to the object's own symbols.
    let symbol_count = symbols.len() as u32;
    let keep_alive = KeepAlive::read(&view, &blocks, &mut symbols);
    let edges = relocations::read(&view, &mut blocks, &keep_alive, symbol_count)?;

    let in_groups = (0u32..).zip(&blocks.block_sections);
    let in_groups = in_groups.filter_map(|(block, section)| {
        let group = groups.of(*section)?;
        Some((BlockId(block), group))
    });
    let in_groups = match groups.signatures.is_empty() {
        true => Vec::new(),
        false => in_groups.collect(),
    };
    let common_symbols = commons.iter().map(|(symbol, _)| symbol.0).collect();
    let mut graph = LinkGraph {
        name: object.name.clone(),
        architecture: Some(view.machine.architecture),
        input: Arc::clone(&object.input),
        owned: blocks.owned,
        sections: blocks.sections,
        blocks: blocks.blocks,
        symbols,
        edges,
        frames: Vec::new(),
        functions,
        retained: blocks.retained,
        groups: in_groups,
        commons,
        displaced: Vec::new(),
        executable_stack: runs_on_stack(&view),
        describe: Some(Arc::new(Describe {
            input: Arc::clone(&object.input),
            block_sections: blocks.block_sections,
            common_symbols,
            extra_symbols: keep_alive.extra_symbols,
        })),
        uses: blocks.uses.boxed(),
    };
    eh_frame::read(&mut graph, &blocks.eh_frames)?;
    Ok(graph)
}

/// Whether the object asks for stacks that can be executed: a `.note.GNU-stack` with `SHF_EXECINSTR`. (GNU ld
/// takes an object without the note for one that does, and warns; other linkers do not.)
fn runs_on_stack(view: &View<'_>) -> bool {
    view.sections.iter().any(|section| {
        let flags = section.sh_flags(LE);
        flags.contains(SHF_EXECINSTR)
            && !flags.contains(SHF_ALLOC)
            && view.section_name(section) == b".note.GNU-stack"
    })
}

/// Checks what every graph promises; for tests and fuzzing.
///
/// # Panics
/// When the graph breaks a promise.
pub(super) fn assert_valid(graph: &LinkGraph) {
    let input = graph.input.bytes().len();
    for block in &graph.blocks {
        assert!(
            (block.section.0 as usize) < graph.sections.len(),
            "a block has a section"
        );
        assert!(block.align.is_power_of_two(), "alignment is a power of two");
        let (len, bound) = match &block.content {
            Content::Input(range) => (range.len() as u64, input - range.end),
            Content::Owned(range) => (range.len() as u64, graph.owned.len() - range.end),
            Content::FunctionNames | Content::Zero => (block.size, 0),
        };
        assert!(
            len == block.size && bound <= input.max(graph.owned.len()),
            "content fits"
        );
        for edge in &graph.edges[block.edges.start as usize..block.edges.end as usize] {
            assert!(
                u64::from(edge.offset) <= block.size,
                "an edge lies in its block"
            );
            assert!(
                (edge.target.0 as usize) < graph.symbols.len(),
                "an edge has a target"
            );
        }
        for frame in &graph.frames[block.frames.start as usize..block.frames.end as usize] {
            let home = &graph.blocks[frame.block.0 as usize];
            assert!(
                u64::from(frame.offset) + u64::from(frame.length) <= home.size,
                "FDE fits"
            );
            let has_code_edge = frame.edges.0 < frame.edges.1 || !block.live;
            assert!(
                has_code_edge && frame.edges.1 <= home.edges.end,
                "a frame has its code"
            );
        }
    }
    for symbol in &graph.symbols {
        if let Target::Defined { block, .. } = symbol.target {
            assert!(
                (block.0 as usize) < graph.blocks.len(),
                "a symbol's block exists"
            );
        }
    }
}
