//! The symbols of a graph: one for each of the object's, under its number, and behind them one for each block.

use jit_core::graph::{
    BlockId, ComputedRange, Content, Edge, EdgeKind, NamedFunction, SectionKind, Symbol, SymbolId,
    Target, with_room,
};
use jit_core::name::NameId;
use jit_core::object::{Scope, SymbolKind};
use object::LittleEndian as LE;
use object::macho::{self, Nlist64};

use super::blocks::Blocks;
use super::view::{self, Place, View};
use crate::platform::Sections;

/// The symbols of a graph, and what was learned on the way.
pub(crate) struct Symbols {
    pub symbols: Vec<Symbol>,
    /// The common symbols, with their blocks.
    pub commons: Vec<(SymbolId, BlockId)>,
    pub functions: Vec<NamedFunction>,
    /// Blocks of other names of symbols, without content, with these symbols.
    pub aliases: Vec<(BlockId, SymbolId)>,
    /// The number of the first block's symbol.
    first_block: u32,
}

impl Symbols {
    /// The symbol at the beginning of a block of a section.
    pub fn of_block(&self, block: BlockId) -> SymbolId {
        SymbolId(self.first_block + block.0)
    }

    /// Has other names keep what they are names of.
    pub fn keep_aliased(&self, blocks: &mut Blocks, edges: &mut Vec<Edge>) {
        for (block, target) in &self.aliases {
            let first = edges.len() as u32;
            edges.push(Edge {
                offset: 0,
                target: *target,
                addend: 0,
                kind: EdgeKind::NONE,
            });
            blocks.blocks[block.0 as usize].edges = first..first + 1;
        }
    }

    /// The symbol of a function that was added, by its block.
    pub fn of_added(&self, block: BlockId) -> SymbolId {
        let is_there = |symbol: &Symbol| {
            let target = symbol.target;
            target == Target::Defined { block, offset: 0 }
        };
        let index = self.symbols.iter().position(is_there);
        SymbolId(index.unwrap_or_default() as u32)
    }
}

/// Makes the symbols, and blocks for common ones.
///
/// # Errors
/// When a symbol is damaged.
pub(super) fn read(
    view: &View<'_>,
    names: &[NameId],
    blocks: &mut Blocks,
    sections: &Sections,
) -> Result<Symbols, String> {
    let mut read = Symbols {
        symbols: Vec::with_capacity(with_room(view.symbols.len() + blocks.blocks.len())),
        commons: Vec::new(),
        functions: Vec::new(),
        aliases: Vec::new(),
        first_block: view.symbols.len() as u32,
    };
    // Common symbols get blocks behind those of sections.
    let of_sections = blocks.blocks.len() as u32;
    for ((index, symbol), name) in (0u32..).zip(view.symbols).zip(names) {
        let symbol = read.symbol(view, index, symbol, *name, (blocks, sections))?;
        read.symbols.push(symbol);
    }
    for block in (0..of_sections).map(BlockId) {
        let kind = kind_of(blocks, block);
        let size = blocks.blocks[block.0 as usize].size;
        read.symbols.push(Symbol {
            name: None,
            target: Target::Defined { block, offset: 0 },
            size,
            scope: Scope::Local,
            kind,
            weak: false,
        });
    }
    Ok(read)
}

impl Symbols {
    fn symbol(
        &mut self,
        view: &View<'_>,
        index: u32,
        symbol: &Nlist64<LE>,
        name: NameId,
        (blocks, sections): (&mut Blocks, &Sections),
    ) -> Result<Symbol, String> {
        let mut made = Symbol {
            name: view::is_global(symbol).then_some(name),
            target: Target::Absolute(0),
            size: 0,
            scope: scope(symbol),
            kind: SymbolKind::None,
            weak: false,
        };
        match view.place(index, symbol)? {
            Place::Debugging => {}
            Place::Absolute => made.target = Target::Absolute(symbol.n_value.get(LE)),
            Place::Undefined => {
                // A local name that nothing defines stands for nothing.
                if made.name.is_some() {
                    made.target = Target::External;
                    made.weak = is_weak_reference(symbol);
                }
            }
            Place::Alias { of } => {
                let section = blocks.section(sections.constants, SectionKind::ReadOnly, 0);
                let block = blocks.push(section, Content::Zero, 0, 1);
                self.aliases.push((block, SymbolId(of)));
                let range = ComputedRange::Near;
                made.target = Target::Computed { block, range };
            }
            Place::Common { size, align } => {
                let section = blocks.section(sections.zeros, SectionKind::ReadWrite, 1);
                let block = blocks.push(section, Content::Zero, size, align);
                self.commons.push((SymbolId(index), block));
                made.target = Target::Defined { block, offset: 0 };
                (made.kind, made.size) = (SymbolKind::Data, size);
            }
            Place::Section { section, offset } => {
                let Some((block, within)) = blocks.at(section, offset.cast_signed()) else {
                    return Ok(made);
                };
                let size = blocks.blocks[block.0 as usize].size;
                made.target = Target::Defined {
                    block,
                    offset: within.cast_unsigned(),
                };
                made.kind = kind_of(blocks, block);
                made.size = size.saturating_sub(within.cast_unsigned());
                let desc = symbol.n_desc.get(LE);
                if desc.contains(macho::N_NO_DEAD_STRIP)
                    || desc.contains(macho::REFERENCED_DYNAMICALLY)
                {
                    blocks.retained.push(block);
                }
                if made.kind == SymbolKind::Function
                    && view.name(symbol).is_some_and(|it| it.starts_with(b"_"))
                    && let Some(name) = view.name_at(symbol)
                {
                    let name = name + 1;
                    self.functions.push(NamedFunction {
                        symbol: SymbolId(index),
                        name,
                    });
                }
            }
        }
        Ok(made)
    }
}

/// What a block's section makes of its symbols.
fn kind_of(blocks: &Blocks, block: BlockId) -> SymbolKind {
    let section = blocks.blocks[block.0 as usize].section;
    match blocks.sections[section.0 as usize].kind {
        SectionKind::Text => SymbolKind::Function,
        SectionKind::ThreadLocal => SymbolKind::ThreadLocal,
        SectionKind::ReadOnly
        | SectionKind::RelocatedReadOnly
        | SectionKind::ReadWrite
        | SectionKind::LargeReadWrite => SymbolKind::Data,
    }
}

/// Whether the symbol may stay undefined.
pub(super) fn is_weak_reference(symbol: &Nlist64<LE>) -> bool {
    symbol.n_desc.get(LE).contains(macho::N_WEAK_REF)
}

/// Who may refer to the symbol.
pub(super) fn scope(symbol: &Nlist64<LE>) -> Scope {
    if !view::is_global(symbol) {
        Scope::Local
    } else if symbol.n_type.is_pext() {
        Scope::Hidden
    } else {
        Scope::Default
    }
}
