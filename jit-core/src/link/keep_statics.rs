//! Variables of objects that can be replaced: written down, and in a new version led to where they are.
//!
//! See [`crate::statics`]. A block of variables that go on living is taken out of the new version's graph;
//! whoever refers to it refers to the place where it is. So does the object's table of addresses. What
//! initializes variables is taken out too: it has run.

use std::sync::Arc;

use hashbrown::HashMap;
use orc_shared::ExecutorAddr;

use super::context::LinkContext;
use super::parallel;
use super::state::{Link, Part};
use crate::error::LinkError;
use crate::graph::{Block, BlockId, LinkGraph, SectionKind, SymbolId, Target};
use crate::ids::DylibId;
use crate::object::{Scope, SymbolKind};
use crate::statics::{
    ChangedBlock, Known, KnownStatics, PlacedBlock, StaticBlock, Statics, StaticsChanged, Variable,
};

/// What a link knows of a part's variables.
#[derive(Default)]
pub(super) struct PartStatics {
    /// Symbols of variables that are elsewhere already, by number.
    kept: Vec<KeptSymbol>,
    /// The blocks of these.
    kept_blocks: Vec<PlacedBlock>,
    /// The blocks that the part makes.
    own: Vec<(BlockId, Arc<StaticBlock>)>,
}

/// A symbol of a variable that is elsewhere already.
#[derive(Clone, Copy)]
pub(super) struct KeptSymbol {
    pub(super) symbol: SymbolId,
    pub(super) kind: SymbolKind,
    pub(super) addr: ExecutorAddr,
}

impl PartStatics {
    /// The symbols of variables that are elsewhere.
    pub(super) fn kept(&self) -> &[KeptSymbol] {
        &self.kept
    }

    /// The place of a symbol's variable, if that is elsewhere.
    pub(super) fn find(&self, symbol: SymbolId) -> Option<KeptSymbol> {
        let at = self.kept.binary_search_by_key(&symbol, |kept| kept.symbol);
        Some(self.kept[at.ok()?])
    }
}

/// Looks at the variables of a graph for `dylib`, and leads those to `running` that are there already.
///
/// # Errors
/// [`LinkError::StaticsChanged`].
pub(super) fn keep_statics(
    graph: &mut LinkGraph,
    context: &LinkContext,
    dylib: DylibId,
    running: Option<&KnownStatics>,
) -> Result<PartStatics, LinkError> {
    let blocks = blocks_of_variables(graph);
    let Some(running) = running else {
        let own = blocks.into_iter();
        return Ok(PartStatics {
            own: own.map(|(id, block)| (id, Arc::new(block))).collect(),
            ..PartStatics::default()
        });
    };
    let mut statics = PartStatics::default();
    let mut changed = StaticsChanged {
        object: graph.name.clone(),
        blocks: Vec::new(),
        initialized: Vec::new(),
    };
    let mut elsewhere = HashMap::new();
    for (id, block) in blocks {
        match running.find(&block) {
            Known::Same(placed) => {
                elsewhere.insert(id, placed.addr);
                statics.kept_blocks.push(placed.clone());
            }
            Known::New => statics.own.push((id, Arc::new(block))),
            Known::Changed(placed) => changed.blocks.push(ChangedBlock {
                before: (*placed.block).clone(),
                after: block,
            }),
        }
    }
    let reached = take_initializers(graph, context, dylib);
    let new = statics.own.iter().filter(|(id, _)| reached[id.0 as usize]);
    let new = new.flat_map(|(_, block)| block.variables.iter().map(|it| it.name.clone()));
    changed.initialized.extend(new);
    if !changed.blocks.is_empty() || !changed.initialized.is_empty() {
        return Err(LinkError::StaticsChanged(Arc::new(changed)));
    }
    statics.kept = lead_elsewhere(graph, &elsewhere);
    Ok(statics)
}

/// The blocks that hold variables.
fn blocks_of_variables(graph: &LinkGraph) -> Vec<(BlockId, StaticBlock)> {
    let mut found: Vec<Option<StaticBlock>> = vec![None; graph.blocks.len()];
    for (index, symbol) in (0u32..).zip(&graph.symbols) {
        let Target::Defined { block: id, offset } = symbol.target else {
            continue;
        };
        let block = &graph.blocks[id.0 as usize];
        let kind = graph.sections[block.section.0 as usize].kind;
        let is_variable = matches!(symbol.kind, SymbolKind::Data | SymbolKind::ThreadLocal);
        if !is_variable || !block.live || !is_written(kind) {
            continue;
        }
        let known = found[id.0 as usize].get_or_insert_with(|| StaticBlock {
            section: graph.block_name(id),
            size: block.size,
            is_thread_local: kind == SectionKind::ThreadLocal,
            variables: Vec::new(),
        });
        known.variables.push(Variable {
            offset,
            size: symbol.size,
            name: graph.symbol_name(SymbolId(index)),
            is_global: symbol.scope != Scope::Local,
        });
    }
    let found = (0u32..).zip(found);
    let blocks = found.filter_map(|(id, block)| Some((BlockId(id), block?)));
    blocks
        .map(|(id, mut block)| {
            block.variables.sort();
            (id, block)
        })
        .collect()
}

fn is_written(kind: SectionKind) -> bool {
    match kind {
        SectionKind::ReadWrite | SectionKind::LargeReadWrite | SectionKind::ThreadLocal => true,
        SectionKind::Text | SectionKind::ReadOnly | SectionKind::RelocatedReadOnly => false,
    }
}

/// Takes the object's initializers and finalizers out. Returns, per block, whether they refer to it: they
/// themselves, or local code that they call.
fn take_initializers(graph: &mut LinkGraph, context: &LinkContext, dylib: DylibId) -> Vec<bool> {
    let platform = context.platforms.of(dylib);
    let is_initializers = |block: &Block| {
        let output = graph.sections[block.section.0 as usize].output;
        let output = context.names.bytes(output);
        block.live && platform.is_initializer_section(&output)
    };
    let lists = (0u32..).zip(&graph.blocks);
    let lists: Vec<BlockId> = lists
        .filter_map(|(id, block)| is_initializers(block).then_some(BlockId(id)))
        .collect();
    let mut reached = vec![false; graph.blocks.len()];
    let mut next: Vec<(BlockId, bool)> = lists.iter().map(|id| (*id, true)).collect();
    while let Some((id, of_list)) = next.pop() {
        for edge in graph.edges_of(id) {
            let symbol = graph.symbols[edge.target.0 as usize];
            let Target::Defined { block, .. } = symbol.target else {
                continue;
            };
            let section = graph.blocks[block.0 as usize].section;
            let is_code = graph.sections[section.0 as usize].kind == SectionKind::Text;
            if std::mem::replace(&mut reached[block.0 as usize], true) {
                continue;
            }
            if is_code && (of_list || symbol.scope == Scope::Local) {
                next.push((block, false));
            }
        }
    }
    drop_blocks(graph, lists.into_iter());
    reached
}

/// Leads symbols of blocks that are elsewhere there.
fn lead_elsewhere(
    graph: &mut LinkGraph,
    elsewhere: &HashMap<BlockId, ExecutorAddr>,
) -> Vec<KeptSymbol> {
    if elsewhere.is_empty() {
        return Vec::new();
    }
    let mut kept = Vec::new();
    let sections = &graph.sections;
    let blocks = &graph.blocks;
    for (index, symbol) in (0u32..).zip(&mut graph.symbols) {
        let Target::Defined { block, offset } = symbol.target else {
            continue;
        };
        let Some(addr) = elsewhere.get(&block) else {
            continue;
        };
        let section = blocks[block.0 as usize].section;
        let kind = match sections[section.0 as usize].kind {
            SectionKind::ThreadLocal => SymbolKind::ThreadLocal,
            _ => SymbolKind::Data,
        };
        symbol.target = Target::External;
        kept.push(KeptSymbol {
            symbol: SymbolId(index),
            kind,
            addr: *addr + offset,
        });
    }
    drop_blocks(graph, elsewhere.keys().copied());
    kept
}

fn drop_blocks(graph: &mut LinkGraph, dropped: impl Iterator<Item = BlockId>) {
    let blocks = &mut graph.blocks;
    for id in dropped {
        let block = &mut blocks[id.0 as usize];
        block.live = false;
        block.edges.end = block.edges.start;
    }
    graph.retained.retain(|id| blocks[id.0 as usize].live);
}

/// Where the variables of every unit are that can be replaced. Needs addresses.
pub(super) fn record_statics(link: &Link) -> Vec<Option<Arc<Statics>>> {
    let units = &link.batch.units;
    let parts = &link.parts[..units.len()];
    parallel::map_parts(parts, |index, part| {
        let statics = part.statics.as_deref()?;
        let group = &link.groups[part.group as usize];
        let tls = group.tls.map_or(0, |block| block.place.value());
        let own = statics.own.iter().filter_map(|(id, block)| {
            let placed = &part.graph.blocks[id.0 as usize];
            let base = if block.is_thread_local { tls } else { 0 };
            placed.live.then(|| PlacedBlock {
                block: block.clone(),
                addr: ExecutorAddr::new(placed.address.value().wrapping_add(base)),
                owner: group.tracker,
            })
        });
        Some(Arc::new(Statics {
            object: units[index as usize].object.name().into(),
            blocks: statics.kept_blocks.iter().cloned().chain(own).collect(),
        }))
    })
}

impl Part {
    /// The place of a symbol's variable, if that is elsewhere already.
    pub(super) fn kept(&self, symbol: SymbolId) -> Option<KeptSymbol> {
        self.statics.as_deref()?.find(symbol)
    }
}
