//! The tables that lowering makes for a graph: GOT, PLT stubs, sizes.

use hashbrown::HashMap;

use super::linker_part::{self, NewBlock};
use super::lower::{Facts, Shared, push_section};
use super::state::{Bound, Needs, OWN, Part, TLS_MODULE, TLS_OFFSET, TlsValue, TlsWord};
use crate::cpu::{Cpu, Kinds, Lowered, Via};
use crate::graph::{BlockId, Content, Edge, EdgeKind, SectionId, SectionKind, SymbolId, Target};
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
    got_tls_module: Entries,
    descriptors: Entries,
    stubs: Entries,
    branches: Branches,
    sizes: Entries,
}

/// Stubs for branches into the middle of what is out of reach, and to numbers: few programs have any.
#[derive(Default)]
struct Branches {
    /// The symbols of stub and slot for a symbol and a distance from it.
    of_place: HashMap<(SymbolId, i64), (SymbolId, SymbolId)>,
    /// The same in the order of their first use.
    list: Vec<(SymbolId, i64)>,
}

impl Branches {
    /// The symbol of the stub that jumps to this distance from a symbol.
    fn get(&mut self, place: (SymbolId, i64), next: &mut u32) -> SymbolId {
        let (stub, _) = *self.of_place.entry(place).or_insert_with(|| {
            self.list.push(place);
            *next += 2;
            (SymbolId(*next - 2), SymbolId(*next - 1))
        });
        stub
    }

    /// In order: symbol of the stub, symbol of the slot, and what the slot holds.
    fn iter(&self) -> impl Iterator<Item = (SymbolId, SymbolId, (SymbolId, i64))> {
        self.list.iter().map(|place| {
            let (stub, slot) = self.of_place[place];
            (stub, slot, *place)
        })
    }
}

impl Tables {
    pub(super) fn new(part: &Part) -> Self {
        Self {
            symbols: part.graph.symbols.len(),
            next: part.graph.symbols.len() as u32,
            got: Entries::default(),
            got_tp_offset: Entries::default(),
            got_tls_pair: Entries::default(),
            got_tls_module: Entries::default(),
            descriptors: Entries::default(),
            stubs: Entries::default(),
            branches: Branches::default(),
            sizes: Entries::default(),
        }
    }

    /// The lowered edge, with the entry made that it needs.
    pub(super) fn apply<C: Cpu>(
        &mut self,
        edge: &Edge,
        lowered: &Lowered<C::Kind>,
        facts: Facts,
        externals: &[u32],
        shared: &Shared<'_>,
    ) -> Edge {
        let (symbols, next) = (self.symbols, &mut self.next);
        if facts.outside {
            let need = match lowered.via {
                Via::GotTlsPair => Needs::TLS_PAIR,
                Via::Size => Needs::empty(),
                Via::Direct
                | Via::Got
                | Via::GotTpOffset
                | Via::GotTlsModule
                | Via::TlsDescriptor
                | Via::Stub
                | Via::BranchStub => Needs::VALUE,
            };
            shared.need(externals[edge.target.0 as usize], need);
        }
        let mut addend = edge.addend;
        let target = match lowered.via {
            Via::Direct => edge.target,
            Via::Got => self.got.get(edge.target, symbols, next),
            Via::GotTpOffset => self.got_tp_offset.get(edge.target, symbols, next),
            Via::GotTlsPair => self.got_tls_pair.get(edge.target, symbols, next),
            Via::GotTlsModule => self.got_tls_module.get(edge.target, symbols, next),
            Via::TlsDescriptor => self.descriptors.get(edge.target, symbols, next),
            Via::Stub => self.stubs.get(edge.target, symbols, next),
            Via::BranchStub => {
                // The field counts from the end of the instruction, which it is the last part of.
                let distance = edge.addend.wrapping_sub(C::BRANCH_ADDEND);
                addend = C::BRANCH_ADDEND;
                self.branches.get((edge.target, distance), next)
            }
            Via::Size => self.sizes.get(edge.target, symbols, next),
        };
        Edge {
            target,
            addend,
            kind: lowered.kind.edge(),
            ..*edge
        }
    }

    /// Adds the tables to the graph.
    pub(super) fn finish<C: Cpu>(mut self, part: &mut Part, shared: &Shared<'_>) {
        if self.next as usize == self.symbols {
            return;
        }
        // A stub's GOT entry is the one that loads of the function's address use.
        let stubs: Vec<(SymbolId, SymbolId)> = {
            let (symbols, next) = (self.symbols, &mut self.next);
            let stubs = self.stubs.symbols.iter().zip(&self.stubs.targets);
            let stubs = stubs.map(|(stub, t)| (*stub, self.got.get(*t, symbols, next)));
            let branches = self.branches.iter().map(|(stub, slot, _)| (stub, slot));
            stubs.chain(branches).collect()
        };
        // And one for the start of the functions' names. A vector that doubles is mostly empty.
        let added = self.next as usize - self.symbols + 1;
        part.graph.symbols.reserve_exact(added);
        part.externals.reserve_exact(added);
        for _ in self.symbols..self.next as usize {
            linker_part::add_symbol(part, Target::Absolute(0), SymbolKind::None, 0, OWN);
        }
        self.define_got::<C>(part, shared);
        define_stubs::<C>(part, shared, &stubs);
        for (target, symbol) in self.sizes.targets.iter().zip(&self.sizes.symbols) {
            let size = size_of(part, *target, shared);
            part.graph.symbols[symbol.0 as usize].target = Target::Absolute(size);
        }
    }

    fn define_got<C: Cpu>(&self, part: &mut Part, shared: &Shared<'_>) {
        let branches = self.branches.list.len();
        let singles = self.got.targets.len() + self.got_tp_offset.targets.len() + branches;
        let pairs = self.got_tls_pair.targets.len() + self.got_tls_module.targets.len();
        let words = singles + 2 * pairs + 4 * self.descriptors.targets.len();
        if words == 0 {
            return;
        }
        let mut edges = Vec::with_capacity(words);
        let mut places = Vec::with_capacity(words);
        let push = |edges: &mut Vec<Edge>, kind: EdgeKind, (target, addend): (SymbolId, i64)| {
            edges.push(Edge {
                offset: edges.len() as u32 * 8,
                target,
                addend,
                kind,
            });
        };
        for (target, symbol) in self.got.targets.iter().zip(&self.got.symbols) {
            places.push((*symbol, edges.len() as u64 * 8));
            push(&mut edges, EdgeKind::POINTER64, (*target, 0));
        }
        for (_, slot, place) in self.branches.iter() {
            places.push((slot, edges.len() as u64 * 8));
            push(&mut edges, EdgeKind::POINTER64, place);
        }
        let tp = self.got_tp_offset.targets.iter();
        for (target, symbol) in tp.zip(&self.got_tp_offset.symbols) {
            places.push((*symbol, edges.len() as u64 * 8));
            push(&mut edges, C::TP_OFFSET64.edge(), (*target, 0));
        }
        let pairs = self.got_tls_pair.targets.iter();
        for (target, symbol) in pairs.zip(&self.got_tls_pair.symbols) {
            places.push((*symbol, edges.len() as u64 * 8));
            let [module, offset] = tls_pair(part, *target, shared);
            push(&mut edges, EdgeKind::POINTER64, (module, 0));
            push(&mut edges, EdgeKind::POINTER64, (offset, 0));
        }
        let modules = self.got_tls_module.targets.iter();
        for (target, symbol) in modules.zip(&self.got_tls_module.symbols) {
            places.push((*symbol, edges.len() as u64 * 8));
            for value in [TlsValue::Module, TlsValue::Base] {
                push(
                    &mut edges,
                    EdgeKind::POINTER64,
                    (tls_word(part, *target, value), 0),
                );
            }
        }
        // A function, the address of a pair, the pair.
        let descriptors = self.descriptors.targets.iter();
        for (target, symbol) in descriptors.zip(&self.descriptors.symbols) {
            places.push((*symbol, edges.len() as u64 * 8));
            let function = tls_word(part, *target, TlsValue::Function);
            push(&mut edges, EdgeKind::POINTER64, (function, 0));
            push(&mut edges, EdgeKind::POINTER64, (*symbol, 16));
            for word in tls_pair(part, *target, shared) {
                push(&mut edges, EdgeKind::POINTER64, (word, 0));
            }
        }
        let section = push_section(
            part,
            shared.tables_of(part).got,
            SectionKind::RelocatedReadOnly,
        );
        let block = add_table(part, section, &vec![0; words * 8], 8, edges);
        place(part, block, &places, SymbolKind::Data);
    }
}

/// Symbols for the words that `__tls_get_addr` takes. The loader knows those of a library's variable.
fn tls_pair(part: &mut Part, target: SymbolId, shared: &Shared<'_>) -> [SymbolId; 2] {
    let external = part.external(target);
    match external.filter(|&it| shared.externals[it as usize].bound == Bound::Native) {
        Some(external) => [TLS_MODULE, TLS_OFFSET].map(|word| {
            let external = external | word;
            linker_part::add_symbol(part, Target::External, SymbolKind::None, 0, external)
        }),
        None => [TlsValue::Module, TlsValue::Offset].map(|value| tls_word(part, target, value)),
    }
}

/// A symbol whose value tells where a thread-local is.
fn tls_word(part: &mut Part, target: SymbolId, value: TlsValue) -> SymbolId {
    let symbol = linker_part::add_symbol(part, Target::Absolute(0), SymbolKind::None, 0, OWN);
    part.tls_words.push(TlsWord {
        symbol,
        target,
        value,
    });
    symbol
}

/// Makes stubs: each has a symbol, and that of the slot with the address it jumps to.
fn define_stubs<C: Cpu>(part: &mut Part, shared: &Shared<'_>, stubs: &[(SymbolId, SymbolId)]) {
    if stubs.is_empty() {
        return;
    }
    let size = C::STUB.code.len();
    let of_stub = |(number, &(_, slot)): (usize, &(SymbolId, SymbolId))| {
        C::STUB
            .edges
            .iter()
            .map(move |&(offset, kind, addend)| Edge {
                offset: offset + (number * size) as u32,
                target: slot,
                addend,
                kind,
            })
    };
    let edges = stubs.iter().enumerate().flat_map(of_stub).collect();
    let places: Vec<(SymbolId, u64)> = (0..)
        .zip(stubs)
        .map(|(number, &(stub, _))| (stub, number * size as u64))
        .collect();
    let section = push_section(part, shared.tables_of(part).plt, SectionKind::Text);
    let bytes = C::STUB.code.repeat(stubs.len());
    let block = add_table(part, section, &bytes, C::STUB.align, edges);
    place(part, block, &places, SymbolKind::Function);
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
