//! Sixth step: requests become fixups, and the table entries and stubs that they need are made.
//!
//! What an edge becomes is decided per CPU (`arch::x86_64::lower`); here are the tables. Each graph gets its own GOT
//! and PLT: entries are shared within a graph, graphs need not wait for each other, and layout
//! joins the tables of a group.

use std::sync::atomic::{AtomicU8, Ordering};

use orc_shared::ExecutorAddrRange;

use super::bring_near;
use super::errors::{DiscardedReference, UnsupportedEdge};
use super::linker_part::{self, NewBlock};
use super::parallel;
use super::ranges;
use super::state::{
    Bound, External, Ifunc, Link, Needs, OWN, Part, TLS_MODULE, TLS_OFFSET, join_errors,
};
use crate::arch::x86_64::lower::{Lowered, TargetClass, Via, lower};
use crate::arch::x86_64::{Kind, stubs};
use crate::error::LinkError;
use crate::graph::{BlockId, Content, Edge, SectionId, SectionKind, SymbolId, Target};
use crate::name::NameId;
use crate::object::SymbolKind;

/// Errors reported per object: enough to see what is wrong.
const ERRORS_PER_PART: usize = 20;

/// What lowering one part needs of the rest.
struct Shared<'a> {
    externals: &'a [External],
    needs: &'a [AtomicU8],
    extents: Vec<ExecutorAddrRange>,
    got: NameId,
    writable_got: NameId,
    plt: NameId,
}

/// Lowers every live edge of the batch.
pub(super) fn lower_all(link: &mut Link) -> Result<(), LinkError> {
    let needs: Vec<AtomicU8> = link.externals.iter().map(|_| AtomicU8::new(0)).collect();
    let names = &link.context.names;
    let shared = Shared {
        externals: &link.externals,
        needs: &needs,
        extents: link.groups.iter().map(|group| group.extent).collect(),
        got: names.intern(b".got"),
        writable_got: names.intern(b".got.plt"),
        plt: names.intern(b".plt"),
    };
    parallel::each_part(&mut link.parts, |_, part| {
        make_ifunc_stubs(part, &shared);
        lower_part(part, &shared)
    })?;
    link.needs = needs
        .iter()
        .map(|needs| Needs::from_bits_truncate(needs.load(Ordering::Relaxed)))
        .collect();
    Ok(())
}

/// Leads every IFUNC's symbol to a stub, whose slot the resolver fills when the memory is final.
fn make_ifunc_stubs(part: &mut Part, shared: &Shared<'_>) {
    let is_live = |part: &Part, symbol: usize| match part.graph.symbols[symbol].target {
        Target::Defined { block, .. } => part.graph.blocks[block.0 as usize].live,
        Target::Absolute(_) | Target::External | Target::Discarded => false,
    };
    let indirect: Vec<usize> = (0..part.graph.symbols.len())
        .filter(|&index| part.graph.symbols[index].kind == SymbolKind::IndirectFunction)
        .filter(|&index| is_live(part, index))
        .collect();
    if indirect.is_empty() {
        return;
    }
    let slots = push_section(part, shared.writable_got, SectionKind::ReadWrite);
    let stubs_section = push_section(part, shared.plt, SectionKind::Text);
    let mut made: Vec<(Target, Target)> = Vec::new();
    for index in indirect {
        let resolver_target = part.graph.symbols[index].target;
        let known = made.iter().find(|(target, _)| *target == resolver_target);
        let stub_target = match known {
            Some((_, stub)) => *stub,
            None => {
                let resolver =
                    linker_part::add_symbol(part, resolver_target, SymbolKind::Function, 0, OWN);
                // The slot has content so that it does not land among untouched zeros.
                let block = NewBlock::bytes(slots, &[0; 8], 8);
                let slot = define(part, block, SymbolKind::Data);
                part.ifuncs.push(Ifunc { resolver, slot });
                let (offset, kind, addend) = stubs::STUB_EDGE;
                let block = NewBlock::bytes(stubs_section, &stubs::STUB, stubs::STUB_ALIGN)
                    .with_edge(offset, kind, slot, addend);
                let stub = define(part, block, SymbolKind::Function);
                let stub_target = part.graph.symbols[stub.0 as usize].target;
                made.push((resolver_target, stub_target));
                stub_target
            }
        };
        let symbol = &mut part.graph.symbols[index];
        symbol.target = stub_target;
        symbol.kind = SymbolKind::Function;
    }
}

fn push_section(part: &mut Part, output: NameId, kind: SectionKind) -> SectionId {
    let sections = &mut part.graph.sections;
    sections.push(linker_part::new_section(output, kind));
    SectionId(sections.len() as u32 - 1)
}

fn define(part: &mut Part, block: NewBlock<'_>, kind: SymbolKind) -> SymbolId {
    let size = block.size;
    let block = linker_part::add_block(&mut part.graph, block);
    linker_part::add_symbol(part, Target::Defined { block, offset: 0 }, kind, size, OWN)
}

/// What is known of a symbol before layout.
#[derive(Clone, Copy)]
struct Facts {
    /// `None` for a definition that was discarded.
    class: Option<TargetClass>,
    /// Whether its value has to be asked for once it is needed.
    outside: bool,
}

fn facts_of_symbols(part: &Part, shared: &Shared<'_>) -> Vec<Facts> {
    let extent = shared.extents[part.group as usize];
    let near = if ranges::is_low(extent) {
        TargetClass::NearLow
    } else {
        TargetClass::Near
    };
    let graph = &part.graph;
    let classify = |(index, symbol): (usize, &crate::graph::Symbol)| -> Facts {
        let own = |class| Facts {
            class,
            outside: false,
        };
        match symbol.target {
            Target::Defined { block, .. } => {
                let block = &graph.blocks[block.0 as usize];
                let section = &graph.sections[block.section.0 as usize];
                own(match section.kind {
                    _ if !block.live => None,
                    SectionKind::ThreadLocal => Some(TargetClass::ThreadLocal),
                    _ => Some(near),
                })
            }
            Target::Absolute(value) => own(Some(bring_near::classify_value(value, extent))),
            Target::Discarded => own(None),
            Target::External => match part.externals.get(index) {
                Some(&external) if external != OWN => {
                    let external = &shared.externals[external as usize];
                    Facts {
                        class: Some(external.class),
                        outside: matches!(external.bound, Bound::Native | Bound::Pending),
                    }
                }
                _ => own(None),
            },
        }
    };
    graph.symbols.iter().enumerate().map(classify).collect()
}

fn lower_part(part: &mut Part, shared: &Shared<'_>) -> Result<(), LinkError> {
    let facts = facts_of_symbols(part, shared);
    let mut edges = std::mem::take(&mut part.graph.edges);
    let mut tables = Tables::new(part);
    let mut refused = Vec::new();
    for index in 0..part.graph.blocks.len() {
        let block = &part.graph.blocks[index];
        if !block.live || block.edges.is_empty() {
            continue;
        }
        let section = &part.graph.sections[block.section.0 as usize];
        let in_text = section.kind == SectionKind::Text;
        let id = BlockId(index as u32);
        let range = block.edges.start as usize..block.edges.end as usize;
        let edges = &mut edges[range];
        let content = part.graph.content(id);
        let mut at = 0;
        while at < edges.len() {
            let edge = edges[at];
            let target = facts[edge.target.0 as usize];
            at += 1;
            if edge.kind == Kind::None.edge() {
                continue;
            }
            let rest = edges.get_mut(at..).unwrap_or_default();
            match lower_edge(&edge, target, rest.first(), content, in_text) {
                Ok(lowered) => {
                    let kept = tables.apply(&edge, &lowered, target, &part.externals, shared);
                    edges[at - 1] = kept;
                    if lowered.drop_next {
                        edges[at].kind = Kind::None.edge();
                        at += 1;
                    }
                }
                Err(reason) if refused.len() < ERRORS_PER_PART => {
                    refused.push((id, edge, reason));
                }
                Err(_) => {}
            }
        }
    }
    part.graph.edges = edges;
    tables.finish(part, shared);
    let errors = refused.into_iter();
    join_errors(errors.map(|(b, e, r)| refusal(part, b, &e, r)).collect())
}

/// Why an edge was refused: its target was discarded, or the CPU's reason.
type Refused = Option<&'static str>;

fn lower_edge(
    edge: &Edge,
    target: Facts,
    next: Option<&Edge>,
    content: &[u8],
    in_text: bool,
) -> Result<Lowered, Refused> {
    let kind = Kind::from_edge(edge.kind).ok_or(Some("an unknown kind of edge"))?;
    let class = target.class.ok_or(None)?;
    lower(edge, kind, next, content, in_text, class).map_err(Some)
}

fn refusal(part: &Part, block: BlockId, edge: &Edge, reason: Refused) -> LinkError {
    let object = part.graph.name.clone();
    let place = (part.graph.block_name(block), u64::from(edge.offset));
    let target = part.graph.symbol_name(edge.target);
    match reason {
        None => LinkError::DiscardedReference(
            DiscardedReference {
                object,
                place,
                target,
            }
            .into(),
        ),
        Some(reason) => LinkError::UnsupportedEdge(
            UnsupportedEdge {
                object,
                place,
                target,
                kind: Kind::from_edge(edge.kind).map_or("unknown", Kind::name),
                reason,
            }
            .into(),
        ),
    }
}

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
struct Tables {
    symbols: usize,
    next: u32,
    got: Entries,
    got_tp_offset: Entries,
    got_tls_pair: Entries,
    stubs: Entries,
    sizes: Entries,
}

impl Tables {
    fn new(part: &Part) -> Self {
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
    fn apply(
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
            let external = externals[edge.target.0 as usize];
            let needs = &shared.needs[external as usize];
            if needs.load(Ordering::Relaxed) & need.bits() != need.bits() {
                needs.fetch_or(need.bits(), Ordering::Relaxed);
            }
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
    fn finish(mut self, part: &mut Part, shared: &Shared<'_>) {
        if self.next as usize == self.symbols {
            return;
        }
        // A stub's GOT entry is the one that loads of the function's address use.
        let stub_slots: Vec<SymbolId> = {
            let (symbols, next) = (self.symbols, &mut self.next);
            let targets = self.stubs.targets.iter();
            targets.map(|t| self.got.get(*t, symbols, next)).collect()
        };
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
