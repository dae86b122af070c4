//! Sections that live as long as another one does, though nothing refers to them.
//!
//! - A section with `SHF_LINK_ORDER` describes the section it links to (patchable function entries,
//!   sanitizer metadata).
//! - Sections of one group stand and fall together. Code and data of a group refer to what they
//!   need; only for sections with names of their own, which tools find by name, it has to be said.
//!
//! Both become edges that write nothing, from the described block to the dependent one. Such an
//! edge needs a symbol; the graph gets one beyond the object's own for each dependent block.

use jit_core::graph::{BlockId, Edge, EdgeKind, Symbol, SymbolId, Target};
use jit_core::object::{Scope, SymbolKind};
use object::LittleEndian as LE;
use object::elf::{SHF_LINK_ORDER, SHT_GROUP};
use object::read::elf::SectionHeader;

use super::blocks::{Blocks, Fate};
use super::output_section;
use super::symbols::next_id;
use super::view::View;

/// Which blocks keep which others alive.
#[derive(Default)]
pub(super) struct KeepAlive {
    /// (describing block's owner, symbol of the dependent block), sorted.
    edges: Vec<(BlockId, SymbolId)>,
    /// The block each extra symbol stands for.
    pub extra_symbols: Vec<BlockId>,
}

impl KeepAlive {
    /// Finds the dependent sections and adds their symbols to `symbols`.
    pub fn read(view: &View<'_>, blocks: &Blocks, symbols: &mut Vec<Symbol>) -> Self {
        let mut found = Self::default();
        for (index, section) in (0u32..).zip(view.sections) {
            if section.sh_flags(LE).contains(SHF_LINK_ORDER) {
                found.add(blocks, section.sh_link(LE), index, symbols);
            } else if section.sh_type(LE) == SHT_GROUP {
                found.add_group(view, blocks, index, symbols);
            }
        }
        found.edges.sort_unstable();
        found
    }

    /// The edges to add to the block.
    pub fn of(&self, block: BlockId) -> impl Iterator<Item = Edge> {
        let start = self.edges.partition_point(|edge| edge.0 < block);
        let from_block = self.edges[start..]
            .iter()
            .take_while(move |edge| edge.0 == block);
        from_block.map(|&(_, target)| edge_to(target))
    }

    /// Blocks that have edges to add, ascending, some more than once.
    pub fn blocks(&self) -> impl Iterator<Item = BlockId> {
        self.edges.iter().map(|edge| edge.0)
    }

    /// Number of edges.
    pub fn len(&self) -> usize {
        self.edges.len()
    }

    fn add(&mut self, blocks: &Blocks, owner: u32, dependent: u32, symbols: &mut Vec<Symbol>) {
        let (Fate::Block(owner), Fate::Block(dependent)) =
            (blocks.fate(owner), blocks.fate(dependent))
        else {
            return;
        };
        if owner == dependent {
            return;
        }
        self.edges.push((owner, next_id(symbols)));
        self.extra_symbols.push(dependent);
        symbols.push(Symbol {
            name: None,
            target: Target::Defined {
                block: dependent,
                offset: 0,
            },
            size: 0,
            scope: Scope::Local,
            kind: SymbolKind::None,
            weak: false,
        });
    }

    /// The group's first member keeps those alive that have names of their own.
    fn add_group(
        &mut self,
        view: &View<'_>,
        blocks: &Blocks,
        index: u32,
        symbols: &mut Vec<Symbol>,
    ) {
        let Ok(Some((_, members))) = view.sections[index as usize].group(LE, view.bytes) else {
            return;
        };
        let in_memory = |member: &u32| matches!(blocks.fate(*member), Fate::Block(_));
        let mut members = members
            .iter()
            .map(|member| member.get(LE))
            .filter(in_memory);
        let Some(owner) = members.next() else { return };
        for member in members {
            let section = &view.sections[member as usize];
            let placement =
                output_section::placement(view.section_name_tail(section), section.sh_type(LE));
            let linked = section.sh_flags(LE).contains(SHF_LINK_ORDER);
            if placement.output.is_none() && !linked {
                self.add(blocks, owner, member, symbols);
            }
        }
    }
}

fn edge_to(target: SymbolId) -> Edge {
    Edge {
        offset: 0,
        target,
        addend: 0,
        kind: EdgeKind::NONE,
    }
}
