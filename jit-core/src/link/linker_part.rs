//! The part of a group that the linker makes itself.

use std::sync::Arc;

use orc_shared::ExecutorAddr;

use super::state::{Link, OWN, Part, Uses};
use crate::cpu::StubEdge;
use crate::graph::{
    Block, BlockId, Content, Edge, InputBytes, LinkGraph, Section, SectionId, SectionKind, Symbol,
    SymbolId, Target,
};
use crate::name::NameId;
use crate::object::{Scope, SymbolKind};

/// A block to add to a graph, with few edges.
pub(super) struct NewBlock<'a> {
    pub(super) section: SectionId,
    pub(super) bytes: &'a [u8],
    pub(super) size: u64,
    pub(super) align: u64,
    pub(super) edges: Vec<Edge>,
}

impl<'a> NewBlock<'a> {
    /// A block of zeros.
    pub(super) fn zeros(section: SectionId, size: u64, align: u64) -> Self {
        Self {
            section,
            bytes: &[],
            size,
            align: align.max(1),
            edges: Vec::new(),
        }
    }

    /// A block with content.
    pub(super) fn bytes(section: SectionId, bytes: &'a [u8], align: u64) -> Self {
        Self {
            bytes,
            ..Self::zeros(section, bytes.len() as u64, align)
        }
    }

    /// With edges to one symbol.
    pub(super) fn with_edges(mut self, edges: &[StubEdge], target: SymbolId) -> Self {
        let edges = edges.iter().map(|&(offset, kind, addend)| Edge {
            offset,
            target,
            addend,
            kind,
        });
        self.edges.extend(edges);
        self
    }
}

/// The group's linker part, made if it is missing.
pub(super) fn of_group(link: &mut Link, group: u32) -> u32 {
    if let Some(part) = link.groups[group as usize].linker_part {
        return part;
    }
    let graph = LinkGraph {
        name: "<linker>".to_owned(),
        architecture: Some(link.context.architecture),
        input: Arc::new(NoInput),
        owned: Vec::new(),
        sections: Vec::new(),
        blocks: Vec::new(),
        symbols: Vec::new(),
        edges: Vec::new(),
        frames: Vec::new(),
        functions: Vec::new(),
        retained: Vec::new(),
        groups: Vec::new(),
        commons: Vec::new(),
        displaced: Vec::new(),
        executable_stack: false,
        describe: None,
        uses: None,
    };
    let index = link.parts.len() as u32;
    link.parts.push(Part::new(graph, group));
    link.groups[group as usize].parts.push(index);
    link.groups[group as usize].linker_part = Some(index);
    index
}

/// The section of this output name in the group's linker part.
pub(super) fn section(link: &mut Link, group: u32, output: NameId, kind: SectionKind) -> SectionId {
    let part = of_group(link, group);
    let sections = &mut link.parts[part as usize].graph.sections;
    let known = sections
        .iter()
        .position(|s| s.output == output && s.kind == kind);
    SectionId(known.unwrap_or_else(|| {
        sections.push(new_section(output, kind));
        sections.len() - 1
    }) as u32)
}

/// A section without special rules.
pub(super) fn new_section(output: NameId, kind: SectionKind) -> Section {
    Section {
        output,
        kind,
        order: 0,
        order_name: None,
        bounds_retained: false,
        mergeable: false,
    }
}

/// Adds a block to the group's linker part, and a symbol at its start.
pub(super) fn define(
    link: &mut Link,
    group: u32,
    block: NewBlock<'_>,
    kind: SymbolKind,
) -> (u32, SymbolId) {
    let part = of_group(link, group);
    let to = &mut link.parts[part as usize];
    let size = block.size;
    let block = add_block(&mut to.graph, block);
    let symbol = add_symbol(to, Target::Defined { block, offset: 0 }, kind, size, OWN);
    (part, symbol)
}

/// Adds a symbol to the group's linker part that is bound as `external` is now.
pub(super) fn add_external(link: &mut Link, group: u32, external: u32) -> SymbolId {
    let part = of_group(link, group);
    let original = &link.externals[external as usize];
    let twin = super::state::External {
        name: original.name,
        dylib: original.dylib,
        resolution: original.resolution.clone(),
        bound: original.bound,
        class: original.class,
        size: original.size,
        uses: Uses::ANY,
        number: original.number,
        is_code: original.is_code,
    };
    let number = link.externals.len() as u32;
    link.externals.push(twin);
    let to = &mut link.parts[part as usize];
    add_symbol(to, Target::External, SymbolKind::None, 0, number)
}

/// Adds a symbol that only the linker knows.
pub(super) fn add_symbol(
    part: &mut Part,
    target: Target,
    kind: SymbolKind,
    size: u64,
    external: u32,
) -> SymbolId {
    let id = SymbolId(part.graph.symbols.len() as u32);
    part.graph.symbols.push(Symbol {
        name: None,
        target,
        size,
        scope: Scope::Local,
        kind,
        weak: false,
    });
    part.externals.resize(id.0 as usize, OWN);
    part.externals.push(external);
    part.uses.resize(id.0 as usize, Uses::empty());
    part.uses.push(Uses::ANY);
    id
}

/// Adds a section to a graph.
pub(super) fn push_section(graph: &mut LinkGraph, section: Section) -> SectionId {
    graph.sections.push(section);
    SectionId(graph.sections.len() as u32 - 1)
}

/// Adds a live block to a graph.
pub(super) fn add_block(graph: &mut LinkGraph, block: NewBlock<'_>) -> BlockId {
    let content = if block.bytes.is_empty() {
        Content::Zero
    } else {
        let start = graph.owned.len();
        graph.owned.extend_from_slice(block.bytes);
        Content::Owned(start..graph.owned.len())
    };
    let first = graph.edges.len() as u32;
    graph.edges.extend(block.edges);
    let id = push_block(graph, block.section, content, block.size, block.align);
    graph.blocks[id.0 as usize].edges = first..graph.edges.len() as u32;
    id
}

/// Adds a live block without edges.
pub(super) fn push_block(
    graph: &mut LinkGraph,
    section: SectionId,
    content: Content,
    size: u64,
    align: u64,
) -> BlockId {
    graph.blocks.push(Block {
        section,
        content,
        size,
        align,
        edges: 0..0,
        frames: 0..0,
        live: true,
        address: ExecutorAddr::NULL,
    });
    BlockId(graph.blocks.len() as u32 - 1)
}

/// The linker's own blocks borrow nothing.
struct NoInput;

impl InputBytes for NoInput {
    fn bytes(&self) -> &[u8] {
        &[]
    }
}
