//! Requests become fixups, and the table entries and stubs that they need are made.
//!
//! What an edge becomes is decided per CPU ([`Cpu::lower`]); here are the tables. Each graph
//! gets its own GOT and PLT: entries are shared within a graph, graphs need not wait for each
//! other, and layout joins the tables of a group.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicU8, Ordering};

use orc_shared::ExecutorAddrRange;

use super::bring_near;
use super::linker_part::{self, NewBlock};
use super::parallel;
use super::ranges;
use super::state::{Bound, External, Ifunc, Link, Needs, OWN, Part, join_errors};
use super::tables::Tables;
use crate::cpu::{Cpu, Kinds, Lowered, Place, TargetClass};
use crate::error::LinkError;
use crate::error::references::{DiscardedReference, UnsupportedEdge};
use crate::graph::{BlockId, Edge, EdgeKind, SectionId, SectionKind, SymbolId, Target};
use crate::name::NameId;
use crate::object::SymbolKind;
use crate::platform::LinkerSection;

/// Errors reported per object: enough to see what is wrong.
const ERRORS_PER_PART: usize = 20;

/// What lowering one part needs of the rest.
pub(super) struct Shared<'a> {
    pub(super) externals: &'a [External],
    needs: &'a [AtomicU8],
    extents: Vec<ExecutorAddrRange>,
    /// Per part: its group.
    groups: Vec<u32>,
    /// Per group, as [`super::state::Group::large_apart`].
    large_apart: Vec<bool>,
    /// Per group: the class of its thread-locals.
    thread_local: Vec<TargetClass>,
    /// Per group: the names of the sections that lowering makes.
    tables: Vec<TableNames>,
    simple: Simple,
}

/// The names of the sections that lowering makes in a group.
#[derive(Clone, Copy)]
pub(super) struct TableNames {
    pub(super) got: NameId,
    writable_got: NameId,
    pub(super) plt: NameId,
}

impl Shared<'_> {
    /// The names of the sections that are made in a part.
    pub(super) fn tables_of(&self, part: &Part) -> TableNames {
        self.tables[part.group as usize]
    }

    /// The group in whose code an external is defined; none for what is no code of the batch.
    fn group_of_code(&self, external: &External) -> u32 {
        match external.bound {
            Bound::Part { part, .. } if external.is_code => self.groups[part as usize],
            _ => u32::MAX,
        }
    }

    /// Notes that lowered edges need a value of an external.
    pub(super) fn need(&self, external: u32, need: Needs) {
        let needs = &self.needs[external as usize];
        if needs.load(Ordering::Relaxed) & need.bits() != need.bits() {
            needs.fetch_or(need.bits(), Ordering::Relaxed);
        }
    }
}

/// What edges become without a look at the instruction.
struct Simple {
    /// Per kind: to a close target.
    close: [Option<EdgeKind>; 256],
    /// Per kind: to a near one, to which a branch may not lead.
    near: [Option<EdgeKind>; 256],
}

impl Simple {
    fn of<C: Cpu>() -> Self {
        let close = close_kinds::<C>();
        let mut near = close;
        for (number, kind) in near.iter_mut().enumerate() {
            // What changes is a branch.
            *kind = kind.filter(|kind| usize::from(kind.0) == number);
        }
        Self { close, near }
    }

    /// What an edge of the kind becomes, if its target is of this class.
    fn get(&self, class: Option<TargetClass>, kind: EdgeKind) -> Option<EdgeKind> {
        match class {
            Some(TargetClass::Near { close: true, .. }) => self.close[usize::from(kind.0)],
            Some(TargetClass::Near { close: false, .. }) => self.near[usize::from(kind.0)],
            _ => None,
        }
    }
}

/// Per kind: what an edge of the kind to a close target becomes, outside thread-local storage, if no
/// look at the instruction is needed.
fn close_kinds<C: Cpu>() -> [Option<EdgeKind>; 256] {
    let mut kinds = [None; 256];
    for &kind in C::Kind::ALL {
        kinds[usize::from(kind.edge().0)] = C::close(kind).map(Kinds::edge);
    }
    kinds
}

/// Lowers every live edge of the batch.
pub(super) fn lower_all<C: Cpu>(link: &mut Link) -> Result<(), LinkError> {
    let needs: Vec<AtomicU8> = link.externals.iter().map(|_| AtomicU8::new(0)).collect();
    let context = &link.context;
    let shared = Shared {
        externals: &link.externals,
        needs: &needs,
        extents: link.groups.iter().map(|group| group.extent).collect(),
        groups: link.parts.iter().map(|part| part.group).collect(),
        large_apart: link.groups.iter().map(|g| g.large_apart).collect(),
        thread_local: link.groups.iter().map(bring_near::thread_local).collect(),
        tables: (link.groups.iter())
            .map(|group| TableNames {
                got: context.section(group.dylib, LinkerSection::Addresses),
                writable_got: context.section(group.dylib, LinkerSection::WritableAddresses),
                plt: context.section(group.dylib, LinkerSection::Stubs),
            })
            .collect(),
        simple: Simple::of::<C>(),
    };
    parallel::each_part(&mut link.parts, |_, part| {
        make_ifunc_stubs::<C>(part, &shared);
        lower_part::<C>(part, &shared)
    })?;
    link.needs = needs
        .iter()
        .map(|needs| Needs::from_bits_truncate(needs.load(Ordering::Relaxed)))
        .collect();
    Ok(())
}

/// Leads every IFUNC's symbol to a stub, whose slot the resolver fills when the memory is final.
fn make_ifunc_stubs<C: Cpu>(part: &mut Part, shared: &Shared<'_>) {
    let is_live = |part: &Part, symbol: usize| match part.graph.symbols[symbol].target {
        Target::Defined { block, .. } => part.graph.blocks[block.0 as usize].live,
        Target::Absolute(_) | Target::Computed { .. } | Target::External | Target::Discarded => {
            false
        }
    };
    let indirect: Vec<usize> = (0..part.graph.symbols.len())
        .filter(|&index| part.graph.symbols[index].kind == SymbolKind::IndirectFunction)
        .filter(|&index| is_live(part, index))
        .collect();
    if indirect.is_empty() {
        return;
    }
    let names = shared.tables_of(part);
    let slots = push_section(part, names.writable_got, SectionKind::ReadWrite);
    let stubs_section = push_section(part, names.plt, SectionKind::Text);
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
                let block = NewBlock::bytes(stubs_section, C::STUB.code, C::STUB.align)
                    .with_edges(C::STUB.edges, slot);
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

/// Adds a section without special rules to a graph.
pub(super) fn push_section(part: &mut Part, output: NameId, kind: SectionKind) -> SectionId {
    linker_part::push_section(&mut part.graph, linker_part::new_section(output, kind))
}

fn define(part: &mut Part, block: NewBlock<'_>, kind: SymbolKind) -> SymbolId {
    let size = block.size;
    let block = linker_part::add_block(&mut part.graph, block);
    linker_part::add_symbol(part, Target::Defined { block, offset: 0 }, kind, size, OWN)
}

/// What is known of a symbol before layout.
#[derive(Clone, Copy)]
pub(super) struct Facts {
    /// `None` for a definition that was discarded.
    class: Option<TargetClass>,
    /// Whether its value has to be asked for once it is needed.
    pub(super) outside: bool,
}

fn facts_of_symbols<C: Cpu>(part: &Part, shared: &Shared<'_>) -> Vec<Facts> {
    let extent = shared.extents[part.group as usize];
    let is_low = ranges::is_low(extent);
    let near = bring_near::near::<C>(is_low);
    // The code of a group lies together: veneers lead branches to all of it.
    let code = TargetClass::Near {
        low: is_low,
        close: true,
    };
    let large = match shared.large_apart[part.group as usize] {
        true => TargetClass::Far,
        false => near,
    };
    let thread_local = shared.thread_local[part.group as usize];
    let graph = &part.graph;
    let classify = |(index, symbol): (usize, &crate::graph::Symbol)| -> Facts {
        let own = |class| Facts {
            class,
            outside: false,
        };
        // No live edge asks.
        if part.uses.get(index).is_some_and(|uses| uses.is_empty()) {
            return own(None);
        }
        match symbol.target {
            Target::Defined { block, .. } => {
                let block = &graph.blocks[block.0 as usize];
                let section = &graph.sections[block.section.0 as usize];
                own(match section.kind {
                    _ if !block.live => None,
                    SectionKind::ThreadLocal => Some(thread_local),
                    SectionKind::LargeReadWrite => Some(large),
                    SectionKind::Text => Some(code),
                    _ => Some(near),
                })
            }
            // A reference to a mere number has the number in its addend.
            Target::Absolute(0) => own(Some(TargetClass::Small)),
            Target::Absolute(value) => own(Some(bring_near::classify_value::<C>(value, extent))),
            Target::Computed { range, .. } => own(Some(bring_near::classify_computed(range, near))),
            Target::Discarded => own(None),
            Target::External => match part.externals.get(index) {
                Some(&external) if external != OWN => {
                    let external = &shared.externals[external as usize];
                    let is_code = || part.group == shared.group_of_code(external);
                    let class = match external.class {
                        TargetClass::Near { low, close: false } if is_code() => {
                            TargetClass::Near { low, close: true }
                        }
                        class => class,
                    };
                    Facts {
                        class: Some(class),
                        outside: matches!(external.bound, Bound::Native | Bound::Pending),
                    }
                }
                _ => own(None),
            },
        }
    };
    graph.symbols.iter().enumerate().map(classify).collect()
}

fn lower_part<C: Cpu>(part: &mut Part, shared: &Shared<'_>) -> Result<(), LinkError> {
    let facts = facts_of_symbols::<C>(part, shared);
    let in_modules = facts.iter().any(|facts| {
        let class = facts.class;
        class == Some(TargetClass::ModuleThreadLocal) || class == Some(TargetClass::LateThreadLocal)
    });
    let mut edges = std::mem::take(&mut part.graph.edges);
    let mut lowering = Lowering::<C> {
        part,
        shared,
        facts,
        tables: Tables::new(part),
        in_modules,
        one_module: Vec::new(),
        refused: Vec::new(),
        cpu: PhantomData,
    };
    for (index, block) in part.graph.blocks.iter().enumerate() {
        if block.live && !block.edges.is_empty() {
            let range = block.edges.start as usize..block.edges.end as usize;
            lowering.lower_block(BlockId(index as u32), &mut edges[range]);
        }
    }
    let Lowering {
        tables,
        refused,
        one_module,
        ..
    } = lowering;
    part.one_module = one_module;
    part.graph.edges = edges;
    tables.finish::<C>(part, shared);
    let errors = refused.into_iter();
    join_errors(
        errors
            .map(|(b, e, r)| refusal::<C>(part, b, &e, r))
            .collect(),
    )
}

/// The lowering of one part.
struct Lowering<'a, C> {
    part: &'a Part,
    shared: &'a Shared<'a>,
    facts: Vec<Facts>,
    tables: Tables,
    /// Whether it refers to thread-locals that are, or may be, in modules of their own.
    in_modules: bool,
    /// As [`Part::one_module`].
    one_module: Vec<SymbolId>,
    refused: Vec<(BlockId, Edge, Refused)>,
    cpu: PhantomData<C>,
}

impl<C: Cpu> Lowering<'_, C> {
    fn lower_block(&mut self, id: BlockId, edges: &mut [Edge]) {
        let graph = &self.part.graph;
        let block = &graph.blocks[id.0 as usize];
        let kind = graph.sections[block.section.0 as usize].kind;
        let content = graph.content(id);
        let mut at = 0;
        while at < edges.len() {
            let edge = edges[at];
            let target = self.facts[edge.target.0 as usize];
            at += 1;
            if edge.kind == EdgeKind::NONE {
                continue;
            }
            if kind != SectionKind::ThreadLocal
                && let Some(simple) = self.shared.simple.get(target.class, edge.kind)
            {
                edges[at - 1].kind = simple;
                if target.outside {
                    let external = self.part.externals[edge.target.0 as usize];
                    self.shared.need(external, Needs::VALUE);
                }
                continue;
            }
            if self.in_modules
                && C::Kind::from_edge(edge.kind).is_some_and(|kind| kind.facts().in_one_module)
                && self.one_module.last() != Some(&edge.target)
            {
                self.one_module.push(edge.target);
            }
            let place = Place {
                content,
                next: edges.get(at),
                in_text: kind == SectionKind::Text,
            };
            match lower_edge::<C>(&edge, target, &place, kind) {
                Ok(lowered) => {
                    let externals = &self.part.externals;
                    edges[at - 1] =
                        self.tables
                            .apply::<C>(&edge, &lowered, target, externals, self.shared);
                    if lowered.drop_next {
                        edges[at].kind = EdgeKind::NONE;
                        at += 1;
                    }
                }
                Err(reason) if self.refused.len() < ERRORS_PER_PART => {
                    self.refused.push((id, edge, reason));
                }
                Err(_) => {}
            }
        }
    }
}

/// Why an edge was refused: its target was discarded, or the CPU's reason.
type Refused = Option<&'static str>;

fn lower_edge<C: Cpu>(
    edge: &Edge,
    target: Facts,
    place: &Place<'_>,
    section: SectionKind,
) -> Result<Lowered<C::Kind>, Refused> {
    let kind = C::Kind::from_edge(edge.kind).ok_or(Some("an unknown kind of edge"))?;
    let class = target.class.ok_or(None)?;
    let lowered = C::lower(edge, kind, class, place).map_err(Some)?;
    if section == SectionKind::ThreadLocal && lowered.kind.facts().has_place {
        return Err(Some(
            "a distance from a thread-local variable, whose address differs from thread to thread",
        ));
    }
    Ok(lowered)
}

fn refusal<C: Cpu>(part: &Part, block: BlockId, edge: &Edge, reason: Refused) -> LinkError {
    let object = part.graph.name.clone();
    let place = (part.graph.block_name(block), u64::from(edge.offset));
    let target = part.symbol_text(edge.target);
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
                kind: C::Kind::from_edge(edge.kind).map_or("unknown", Kinds::name),
                reason,
            }
            .into(),
        ),
    }
}
