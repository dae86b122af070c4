//! The tables that lowering makes for a graph: GOT, PLT stubs, sizes.

use super::linker_part::{self, NewBlock};
use super::lower::{Facts, Shared, push_section};
use super::state::{Needs, OWN, Part, TLS_MODULE, TLS_OFFSET};
use crate::arch::x86_64::lower::{Lowered, Via};
use crate::arch::x86_64::{Kind, stubs};
use crate::graph::{BlockId, Content, Edge, SectionId, SectionKind, SymbolId, Target};
use crate::object::SymbolKind;

/// One kind of entry: which symbol of the graph stands for the entry of a target.
#[derive(Default)]
struct Entries {
    /// Per symbol: number of its entry plus one. Empty until the first entry.
    of_symbol: Vec<u32>,
    /// Targets of the entries.
    targets: Vec<SymbolId>,
    /// Symbols that stand for them.
    symbols: Vec<SymbolId>,
}

impl Entries {
    fn get(&mut self, target: SymbolId, symbols: usize, next: &mut u32) -> SymbolId {
        if self.of_symbol.is_empty() {
            self.of_symbol = vec![0; symbols];
        }
        let number = &mut self.of_symbol[target.0 as usize];
        if *number == 0 {
            self.targets.push(target);
            self.symbols.push(SymbolId(*next));
            *next += 1;
            *number = self.targets.len() as u32;
        }
        self.symbols[*number as usize - 1]
    }
}

/// The tables of one graph under construction. Entries are numbered as symbols at once and
/// defined at the end.
pub(super) struct Tables {
    symbols: usize,
    next: u32,
    got: Entries,
    got_tp_offset: Entries,
    got_tls_pair: Entries,
    stubs: Entries,
    sizes: Entries,
}

impl Tables {
    pub(super) fn new(part: &Part) -> Self {
        Self {
            symbols: part.graph.symbols.len(),
            next: part.graph.symbols.len() as u32,
            got: Entries::default(),
            got_tp_offset: Entries::default(),
            got_tls_pair: Entries::default(),
            stubs: Entries::default(),
            sizes: Entries::default(),
        }
    }

    /// The lowered edge, with the entry made that it needs.
    pub(super) fn apply(
        &mut self,
        edge: &Edge,
        lowered: &Lowered,
        facts: Facts,
        externals: &[u32],
        shared: &Shared<'_>,
    ) -> Edge {
        let (symbols, next) = (self.symbols, &mut self.next);
        if facts.outside {
            let need = match lowered.via {
                Via::GotTlsPair => Needs::TLS_PAIR,
                Via::Size => Needs::empty(),
                Via::Direct | Via::Got | Via::GotTpOffset | Via::Stub => Needs::VALUE,
            };
            shared.need(externals[edge.target.0 as usize], need);
        }
        let target = match lowered.via {
            Via::Direct => edge.target,
            Via::Got => self.got.get(edge.target, symbols, next),
            Via::GotTpOffset => self.got_tp_offset.get(edge.target, symbols, next),
            Via::GotTlsPair => self.got_tls_pair.get(edge.target, symbols, next),
            Via::Stub => self.stubs.get(edge.target, symbols, next),
            Via::Size => self.sizes.get(edge.target, symbols, next),
        };
        Edge {
            target,
            kind: lowered.kind.edge(),
            ..*edge
        }
    }

    /// Adds the tables to the graph.
    pub(super) fn finish(mut self, part: &mut Part, shared: &Shared<'_>) {
        if self.next as usize == self.symbols {
            return;
        }
        // A stub's GOT entry is the one that loads of the function's address use.
        let stub_slots: Vec<SymbolId> = {
            let (symbols, next) = (self.symbols, &mut self.next);
            let targets = self.stubs.targets.iter();
            targets.map(|t| self.got.get(*t, symbols, next)).collect()
        };
        // And one for the start of the functions' names. A vector that doubles is mostly empty.
        let added = self.next as usize - self.symbols + 1;
        part.graph.symbols.reserve_exact(added);
        part.externals.reserve_exact(added);
        for _ in self.symbols..self.next as usize {
            linker_part::add_symbol(part, Target::Absolute(0), SymbolKind::None, 0, OWN);
        }
        self.define_got(part, shared);
        self.define_stubs(part, shared, &stub_slots);
        for (target, symbol) in self.sizes.targets.iter().zip(&self.sizes.symbols) {
            let size = size_of(part, *target, shared);
            part.graph.symbols[symbol.0 as usize].target = Target::Absolute(size);
        }
    }

    fn define_got(&self, part: &mut Part, shared: &Shared<'_>) {
        let singles = self.got.targets.len() + self.got_tp_offset.targets.len();
        let words = singles + 2 * self.got_tls_pair.targets.len();
        if words == 0 {
            return;
        }
        let mut edges = Vec::with_capacity(words);
        let mut places = Vec::with_capacity(words);
        let push = |edges: &mut Vec<Edge>, kind: Kind, target: SymbolId| {
            edges.push(Edge {
                offset: edges.len() as u32 * 8,
                target,
                addend: 0,
                kind: kind.edge(),
            });
        };
        for (target, symbol) in self.got.targets.iter().zip(&self.got.symbols) {
            places.push((*symbol, edges.len() as u64 * 8));
            push(&mut edges, Kind::Pointer64, *target);
        }
        let tp = self.got_tp_offset.targets.iter();
        for (target, symbol) in tp.zip(&self.got_tp_offset.symbols) {
            places.push((*symbol, edges.len() as u64 * 8));
            push(&mut edges, Kind::TpOffset64, *target);
        }
        let pairs = self.got_tls_pair.targets.iter();
        for (target, symbol) in pairs.zip(&self.got_tls_pair.symbols) {
            places.push((*symbol, edges.len() as u64 * 8));
            for word in [TLS_MODULE, TLS_OFFSET] {
                let external = part.externals[target.0 as usize] | word;
                let value =
                    linker_part::add_symbol(part, Target::External, SymbolKind::None, 0, external);
                push(&mut edges, Kind::Pointer64, value);
            }
        }
        let section = push_section(part, shared.got, SectionKind::RelocatedReadOnly);
        let block = add_table(part, section, &vec![0; words * 8], 8, edges);
        place(part, block, &places, SymbolKind::Data);
    }

    fn define_stubs(&self, part: &mut Part, shared: &Shared<'_>, slots: &[SymbolId]) {
        if slots.is_empty() {
            return;
        }
        let (offset, kind, addend) = stubs::STUB_EDGE;
        let size = stubs::STUB.len();
        let edge = |(number, slot): (usize, &SymbolId)| Edge {
            offset: offset + (number * size) as u32,
            target: *slot,
            addend,
            kind: kind.edge(),
        };
        let edges = slots.iter().enumerate().map(edge).collect();
        let symbols = self.stubs.symbols.iter().enumerate();
        let places: Vec<(SymbolId, u64)> = symbols
            .map(|(number, symbol)| (*symbol, (number * size) as u64))
            .collect();
        let section = push_section(part, shared.plt, SectionKind::Text);
        let bytes = stubs::STUB.repeat(slots.len());
        let block = add_table(part, section, &bytes, stubs::STUB_ALIGN, edges);
        place(part, block, &places, SymbolKind::Function);
    }
}

/// Adds a block with many edges.
fn add_table(
    part: &mut Part,
    section: SectionId,
    bytes: &[u8],
    align: u64,
    edges: Vec<Edge>,
) -> BlockId {
    let graph = &mut part.graph;
    let id = linker_part::add_block(graph, NewBlock::bytes(section, bytes, align));
    let first = graph.edges.len() as u32;
    graph.edges.extend(edges);
    let block = &mut graph.blocks[id.0 as usize];
    block.edges = first..graph.edges.len() as u32;
    debug_assert!(matches!(block.content, Content::Owned(_)));
    id
}

/// Defines symbols at offsets of a block.
fn place(part: &mut Part, block: BlockId, places: &[(SymbolId, u64)], kind: SymbolKind) {
    for &(symbol, offset) in places {
        let symbol = &mut part.graph.symbols[symbol.0 as usize];
        symbol.target = Target::Defined { block, offset };
        symbol.kind = kind;
    }
}

/// The size of a symbol, as its definition tells it.
fn size_of(part: &Part, symbol: SymbolId, shared: &Shared<'_>) -> u64 {
    match part.external(symbol) {
        None => part.graph.symbols[symbol.0 as usize].size,
        Some(external) => shared.externals[external as usize].size,
    }
}
