//! Puts a graph together.

use std::sync::Arc;

use jit_core::graph::{Content, LinkGraph, Target};

use super::blocks::Blocks;
use super::describe::Describe;
use super::view::View;
use super::{MachObject, added, languages, relocations, symbols};
use crate::eh_frame;

/// Builds the object's graph.
///
/// # Errors
/// What is wrong with the object, and where.
pub(super) fn build(object: &MachObject) -> Result<LinkGraph, String> {
    let view = View::parse(object.input.bytes())?;
    let (sections, languages) = (&object.host.sections, &object.host.languages);
    let mut owned = Vec::new();
    let mut blocks = Blocks::read(&view, &object.names, object.host)?;
    let mut symbols = symbols::read(&view, &object.global_names, &mut blocks, sections)?;
    let mut edges = relocations::read(&view, &mut blocks, &symbols)?;
    symbols.keep_aliased(&mut blocks, &mut edges);
    let parts = (&mut blocks, &mut symbols, &mut edges);
    let mut added = added::add(&view, parts, &mut owned, sections)?;
    let parts = (&mut blocks, &mut symbols, &mut edges);
    let registered = languages::register(&view, parts, &mut owned, (languages, sections))?;
    added.extend(registered);
    let parts = (&mut blocks, &symbols, &mut edges);
    let frames = eh_frame::read(&view, parts, &mut owned, &added, sections)?;
    blocks.retained.sort_unstable();
    blocks.retained.dedup();
    Ok(LinkGraph {
        name: object.name.clone(),
        architecture: Some(view.machine.architecture),
        input: Arc::clone(&object.input),
        owned,
        sections: blocks.sections,
        blocks: blocks.blocks,
        symbols: symbols.symbols,
        edges,
        frames,
        functions: symbols.functions,
        retained: blocks.retained,
        groups: Vec::new(),
        commons: symbols.commons,
        displaced: Vec::new(),
        executable_stack: false,
        describe: Some(Arc::new(Describe {
            input: Arc::clone(&object.input),
            origins: blocks.origins,
        })),
        uses: blocks.uses.boxed(),
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
        let (len, fits) = match &block.content {
            Content::Input(range) => (range.len() as u64, range.end <= input),
            Content::Owned(range) => (range.len() as u64, range.end <= graph.owned.len()),
            Content::FunctionNames | Content::Zero => (block.size, true),
        };
        assert!(len == block.size && fits, "content fits");
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
            let end = u64::from(frame.offset) + u64::from(frame.length);
            assert!(end <= home.size, "an FDE fits");
            let own = frame.edges.0 < frame.edges.1 && frame.edges.1 <= home.edges.end;
            assert!(own, "a frame has its code");
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
