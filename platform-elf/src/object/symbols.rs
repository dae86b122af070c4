//! The symbols of a graph: one for each of the object's, under its number.

use jit_core::graph::{Block, Section, SectionKind, Symbol, SymbolId, Target};
use jit_core::name::{NameId, NameTable};
use jit_core::object::{Claims, Scope, SymbolKind};
use object::LittleEndian as LE;
use object::elf::{STB_LOCAL, STB_WEAK, STT_SECTION, STT_TLS, Sym64};

use super::blocks::{Blocks, Fate};
use super::interface;
use super::output_section::Known;
use super::view::{Place, View};

/// Makes the symbols, and blocks for common ones. Also returns the common blocks' symbols.
///
/// # Errors
/// When a symbol is damaged.
pub(super) fn read(
    view: &View<'_>,
    names: &NameTable,
    global_names: &[NameId],
    claims: &Claims,
    blocks: &mut Blocks,
) -> Result<(Vec<Symbol>, Vec<u32>), String> {
    let first_global = view.first_global as usize;
    let (locals, globals) = view.symbols.split_at(first_global);
    let mut reader = Reader {
        view,
        names,
        claims,
        blocks,
        common_symbols: Vec::new(),
    };
    let mut symbols = Vec::with_capacity(view.symbols.len());
    for (index, symbol) in (0u32..).zip(locals) {
        symbols.push(reader.local(index, symbol)?);
    }
    let mut lost = claims.lost_symbols.iter().copied().peekable();
    for ((index, symbol), &name) in (view.first_global..).zip(globals).zip(global_names) {
        while lost.next_if(|&lost| lost < index).is_some() {}
        let is_lost = lost.peek() == Some(&index);
        symbols.push(reader.global(index, symbol, name, is_lost)?);
    }
    Ok((symbols, reader.common_symbols))
}

struct Reader<'a> {
    view: &'a View<'a>,
    names: &'a NameTable,
    claims: &'a Claims,
    blocks: &'a mut Blocks,
    common_symbols: Vec<u32>,
}

impl Reader<'_> {
    fn local(&mut self, index: u32, symbol: &Sym64<LE>) -> Result<Symbol, String> {
        if symbol.st_bind() == STB_LOCAL || index == 0 {
            let target = match self.target(index, symbol)? {
                // The null symbol, by whose absence a relocation has none, has the value 0.
                Target::External => Target::Absolute(0),
                target => target,
            };
            return Ok(Symbol {
                target,
                ..self.symbol(symbol, None)
            });
        }
        Err(format!(
            "the symbol {} ({index}) is global, but stands among the local ones",
            self.view.symbol_text(index)
        ))
    }

    fn global(
        &mut self,
        index: u32,
        symbol: &Sym64<LE>,
        name: NameId,
        is_lost: bool,
    ) -> Result<Symbol, String> {
        if index == 0 {
            return self.local(index, symbol);
        }
        let undefined = self.view.place(index, symbol)? == Place::Undefined;
        let target = if is_lost && !undefined {
            Target::External
        } else {
            match self.target(index, symbol)? {
                // The group's winner defines the name.
                Target::Discarded => Target::External,
                target => target,
            }
        };
        Ok(Symbol {
            target,
            weak: undefined && symbol.st_bind() == STB_WEAK,
            ..self.symbol(symbol, Some(name))
        })
    }

    fn symbol(&self, symbol: &Sym64<LE>, name: Option<NameId>) -> Symbol {
        Symbol {
            name,
            target: Target::External,
            size: symbol.st_size.get(LE),
            scope: if name.is_none() {
                Scope::Local
            } else {
                interface::scope(symbol)
            },
            kind: interface::kind(symbol),
            weak: false,
        }
    }

    fn target(&mut self, index: u32, symbol: &Sym64<LE>) -> Result<Target, String> {
        let value = symbol.st_value.get(LE);
        Ok(match self.view.place(index, symbol)? {
            Place::Undefined => Target::External,
            Place::Absolute => Target::Absolute(value),
            Place::Common { large } => self.common(index, symbol, large)?,
            Place::Section(section) => match self.blocks.fate(section) {
                Fate::Block(block) => Target::Defined {
                    block,
                    offset: value,
                },
                // What is not in memory lies at address 0, as far as linkers are concerned.
                Fate::NotInMemory => Target::Absolute(value),
                Fate::Discarded => Target::Discarded,
            },
        })
    }

    fn common(&mut self, index: u32, symbol: &Sym64<LE>, large: bool) -> Result<Target, String> {
        let claimed = self
            .claims
            .commons
            .binary_search_by_key(&index, |common| common.0);
        let (size, align) = match claimed {
            Ok(at) => (self.claims.commons[at].1, self.claims.commons[at].2),
            Err(_) => (symbol.st_size.get(LE), symbol.st_value.get(LE).max(1)),
        };
        let output = match (large, symbol.st_type()) {
            (_, STT_TLS) => Known::ThreadBss,
            (true, _) => Known::LargeBss,
            (false, _) => Known::Bss,
        };
        let block = self
            .blocks
            .add_common(self.names, output, size, align)
            .map_err(|what| format!("{what} ({})", self.view.symbol_text(index)))?;
        self.common_symbols.push(index);
        Ok(Target::Defined { block, offset: 0 })
    }
}

/// Section symbols of thread-local sections stand for thread-local variables.
pub(super) fn mark_thread_locals(
    view: &View<'_>,
    symbols: &mut [Symbol],
    blocks: &[Block],
    sections: &[Section],
) {
    if sections
        .iter()
        .all(|section| section.kind != SectionKind::ThreadLocal)
    {
        return;
    }
    for (symbol, elf) in symbols.iter_mut().zip(view.symbols) {
        if elf.st_type() == STT_SECTION
            && let Target::Defined { block, .. } = symbol.target
            && let Some(block) = blocks.get(block.0 as usize)
            && sections[block.section.0 as usize].kind == SectionKind::ThreadLocal
        {
            symbol.kind = SymbolKind::ThreadLocal;
        }
    }
}

/// The number of the next symbol of `symbols`.
pub(super) fn next_id(symbols: &[Symbol]) -> SymbolId {
    SymbolId(symbols.len() as u32)
}
