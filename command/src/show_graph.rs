//! `--show-graph`: what one object became, once every block has an address.
//!
//! One line per section, block, symbol and edge, in address order, so that two dumps can be compared.

use std::fmt::Write as _;

use jit_core::cpu::{Kinds, x86_64::Kind};
use jit_core::graph::{Block, BlockId, Edge, LinkGraph, SymbolId, Target};
use jit_core::name::NameTable;
use orc_shared::ExecutorAddrDiff;

/// The live part of a graph as text.
pub(super) fn show(graph: &LinkGraph, names: &NameTable) -> String {
    let mut text = format!("{}\n", graph.name);
    let shown = Shown { graph, names };
    let mut blocks: Vec<u32> = (0..graph.blocks.len())
        .filter(|&at| graph.blocks[at].live)
        .filter_map(|at| u32::try_from(at).ok())
        .collect();
    blocks.sort_by_key(|&at| graph.blocks[at as usize].address);
    let mut symbols: Vec<Vec<u32>> = vec![Vec::new(); graph.blocks.len()];
    for (at, symbol) in graph.symbols.iter().enumerate() {
        if let (Target::Defined { block, .. }, Ok(at)) = (symbol.target, u32::try_from(at))
            && let Some(of_block) = symbols.get_mut(block.0 as usize)
        {
            of_block.push(at);
        }
    }
    for at in blocks {
        shown.block(at, &symbols[at as usize], &mut text);
    }
    text
}

struct Shown<'a> {
    graph: &'a LinkGraph,
    names: &'a NameTable,
}

impl Shown<'_> {
    fn block(&self, at: u32, symbols: &[u32], text: &mut String) {
        let block = &self.graph.blocks[at as usize];
        let section = &self.graph.sections[block.section.0 as usize];
        let own = self.graph.describe.as_ref();
        let name = own.map_or_else(
            || self.names.text(section.output),
            |d| d.block_section(BlockId(at)),
        );
        let _ = writeln!(
            text,
            "  {} {name} ({:?}), {} bytes, aligned to {}",
            block.address, section.kind, block.size, block.align
        );
        for &symbol in symbols {
            self.symbol(symbol, block, text);
        }
        let edges = block.edges.start as usize..block.edges.end as usize;
        for edge in self.graph.edges.get(edges).unwrap_or(&[]) {
            self.edge(edge, text);
        }
    }

    fn symbol(&self, at: u32, block: &Block, text: &mut String) {
        let symbol = &self.graph.symbols[at as usize];
        if let Target::Defined { offset, .. } = symbol.target {
            let name = self.symbol_name(SymbolId(at));
            let (scope, kind, size) = (symbol.scope, symbol.kind, symbol.size);
            let addr = block.address + offset;
            let _ = writeln!(text, "    {addr} {name}: {scope:?} {kind:?}, {size} bytes");
        }
    }

    fn edge(&self, edge: &Edge, text: &mut String) {
        let kind = Kind::from_edge(edge.kind).map_or("unknown", Kind::name);
        let target = self.symbol_name(edge.target);
        let _ = writeln!(
            text,
            "    +{:#x} {kind} {target} {}",
            edge.offset,
            ExecutorAddrDiff::new(edge.addend)
        );
    }

    fn symbol_name(&self, id: SymbolId) -> String {
        let symbol = self.graph.symbols.get(id.0 as usize);
        match (symbol.and_then(|s| s.name), &self.graph.describe) {
            (Some(name), _) => self.names.text(name),
            (None, Some(describe)) => describe.symbol(id),
            (None, None) => format!("symbol {}", id.0),
        }
    }
}
