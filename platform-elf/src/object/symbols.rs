//! The symbols of a graph: one for each of the object's, under its number.

use jit_core::graph::{
    Block, BlockId, NamedFunction, Section, SectionKind, Symbol, SymbolId, Target, with_room,
};
use jit_core::name::{NameId, NameTable};
use jit_core::object::{Scope, SymbolKind};
use object::LittleEndian as LE;
use object::elf::{
    SHN_UNDEF, SHT_GROUP, STB_LOCAL, STB_WEAK, STT_FUNC, STT_GNU_IFUNC, STT_SECTION, STT_TLS, Sym64,
};

use object::read::elf::SectionHeader as _;

use super::blocks::{Blocks, Fate};
use super::check;
use super::interface;
use super::output_section::Known;
use super::view::{Place, View};

/// The symbols of a graph, and what was learned on the way.
pub(super) struct Symbols {
    pub symbols: Vec<Symbol>,
    /// The common symbols, with their blocks.
    pub commons: Vec<(SymbolId, BlockId)>,
    pub functions: Vec<NamedFunction>,
}

/// Makes the symbols, and blocks for common ones.
///
/// # Errors
/// When a symbol is damaged.
pub(super) fn read(
    view: &View<'_>,
    names: &NameTable,
    global_names: &[NameId],
    blocks: &mut Blocks,
) -> Result<Symbols, String> {
    let first_global = view.first_global as usize;
    let (locals, globals) = view.symbols.split_at(first_global);
    let mut reader = Reader {
        view,
        names,
        blocks,
        commons: Vec::new(),
        functions: Vec::with_capacity(view.symbols.iter().filter(|it| is_function(it)).count()),
    };
    let mut symbols = Vec::with_capacity(with_room(view.symbols.len()));
    for (index, symbol) in (0u32..).zip(locals) {
        let target = reader.local_target(index, symbol)?;
        symbols.push(new_symbol(symbol, None, target));
    }
    for ((index, symbol), &name) in (view.first_global..).zip(globals).zip(global_names) {
        // The null symbol comes first in every table, however its symbols are counted.
        let (name, target) = if index == 0 {
            (None, reader.local_target(index, symbol)?)
        } else {
            (Some(name), reader.global_target(index, symbol)?)
        };
        symbols.push(new_symbol(symbol, name, target));
    }
    Ok(Symbols {
        symbols,
        commons: reader.commons,
        functions: reader.functions,
    })
}

fn new_symbol(symbol: &Sym64<LE>, name: Option<NameId>, target: Target) -> Symbol {
    let scope = match name {
        Some(_) => interface::scope(symbol),
        None => Scope::Local,
    };
    Symbol {
        name,
        target,
        size: symbol.st_size.get(LE),
        scope,
        kind: interface::kind(symbol),
        weak: target == Target::External && is_weak_undefined(symbol),
    }
}

/// Whether the symbol is a function that is defined here.
fn is_function(symbol: &Sym64<LE>) -> bool {
    matches!(symbol.st_type(), STT_FUNC | STT_GNU_IFUNC) && symbol.st_shndx.get(LE) != SHN_UNDEF
}

/// Whether the symbol is a reference that may stay undefined.
fn is_weak_undefined(symbol: &Sym64<LE>) -> bool {
    symbol.st_bind() == STB_WEAK && symbol.st_shndx.get(LE) == SHN_UNDEF
}

/// No symbol lies further from its section: the value is a damaged one.
const MAX_DISTANCE: u64 = 1 << 40;

struct Reader<'a> {
    view: &'a View<'a>,
    names: &'a NameTable,
    blocks: &'a mut Blocks,
    commons: Vec<(SymbolId, BlockId)>,
    functions: Vec<NamedFunction>,
}

impl Reader<'_> {
    fn local_target(&mut self, index: u32, symbol: &Sym64<LE>) -> Result<Target, String> {
        if index != 0 && !self.view.has_name(symbol) {
            return Err(format!(
                "the symbol {index} has its name beyond the end of the names' table"
            ));
        }
        if symbol.st_bind() == STB_LOCAL || index == 0 {
            return Ok(match self.target(index, symbol)? {
                // The null symbol, by whose absence a relocation has none, has the value 0.
                Target::External => Target::Absolute(0),
                target => target,
            });
        }
        Err(format!(
            "the symbol {} ({index}) is global, but stands among the local ones",
            self.view.symbol_text(index)
        ))
    }

    fn global_target(&mut self, index: u32, symbol: &Sym64<LE>) -> Result<Target, String> {
        Ok(match self.target(index, symbol)? {
            // The group's winner defines the name.
            Target::Discarded => Target::External,
            target => target,
        })
    }

    fn target(&mut self, index: u32, symbol: &Sym64<LE>) -> Result<Target, String> {
        let value = symbol.st_value.get(LE);
        let place = self.view.place(index, symbol)?;
        Ok(match place {
            Place::Undefined => Target::External,
            Place::Absolute => Target::Absolute(value),
            Place::Common { large } => self.common(index, symbol, large)?,
            Place::Section(section) => match self.blocks.fate(section) {
                Fate::Block(block) => {
                    if value.cast_signed().unsigned_abs() > MAX_DISTANCE {
                        return Err(format!(
                            "the symbol {} ({index}) is damaged: it lies at {value:#x} in its section",
                            self.view.symbol_text(index)
                        ));
                    }
                    self.note_function(index, symbol);
                    Target::Defined {
                        block,
                        offset: value,
                    }
                }
                Fate::NotInMemory => self.number(index, symbol, section)?,
                Fate::Discarded => Target::Discarded,
            },
        })
    }

    /// What a symbol stands for whose section is not in memory: a number, unless it can be used only if the
    /// section is.
    fn number(&self, index: u32, symbol: &Sym64<LE>, section: u32) -> Result<Target, String> {
        let home = self.view.sections[section as usize].sh_type(LE);
        let what = if home == SHT_GROUP && symbol.st_bind() == STB_LOCAL {
            // It may be there for the sake of the group's signature; nothing refers to it.
            return Ok(Target::Discarded);
        } else if check::is_table(home) && symbol.st_type() != STT_SECTION {
            "which has no content"
        } else if matches!(symbol.st_type(), STT_FUNC | STT_GNU_IFUNC) {
            "which is not loaded into memory (it has no SHF_ALLOC flag)"
        } else {
            // As far as linkers are concerned, it lies at address 0.
            return Ok(Target::Absolute(symbol.st_value.get(LE)));
        };
        Err(format!(
            "the symbol {} ({index}) is defined in the section {}, {what}",
            self.view.symbol_text(index),
            self.view.section_text(section)
        ))
    }

    fn note_function(&mut self, index: u32, symbol: &Sym64<LE>) {
        if is_function(symbol)
            && let Some(name) = self.view.symbol_name_at(symbol)
        {
            self.functions.push(NamedFunction {
                symbol: SymbolId(index),
                name,
            });
        }
    }

    fn common(&mut self, index: u32, symbol: &Sym64<LE>, large: bool) -> Result<Target, String> {
        let (size, align) = (symbol.st_size.get(LE), symbol.st_value.get(LE).max(1));
        let output = match (large, symbol.st_type()) {
            (_, STT_TLS) => Known::ThreadBss,
            (true, _) => Known::LargeBss,
            (false, _) => Known::Bss,
        };
        let block = self
            .blocks
            .add_common(self.names, output, size, align)
            .map_err(|what| format!("{what} ({})", self.view.symbol_text(index)))?;
        self.commons.push((SymbolId(index), block));
        Ok(Target::Defined { block, offset: 0 })
    }
}

/// Section symbols of thread-local sections stand for thread-local variables; marks of what is data do not.
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
        if is_mark(view, elf) {
            symbol.kind = SymbolKind::None;
        } else if elf.st_type() == STT_SECTION
            && let Target::Defined { block, .. } = symbol.target
            && let Some(block) = blocks.get(block.0 as usize)
            && sections[block.section.0 as usize].kind == SectionKind::ThreadLocal
        {
            symbol.kind = SymbolKind::ThreadLocal;
        }
    }
}

/// Whether the symbol marks where data begins (AAELF64, "Mapping symbols"): `$d`, or `$d.` and more. Assemblers
/// give all symbols of a thread-local section its type, these too.
fn is_mark(view: &View<'_>, symbol: &Sym64<LE>) -> bool {
    symbol.st_type() == STT_TLS
        && symbol.st_bind() == STB_LOCAL
        && symbol.st_size.get(LE) == 0
        && view.symbol_name(symbol).is_some_and(|name| {
            let rest = name.strip_prefix(b"$d");
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"."))
        })
}

/// The number of the next symbol of `symbols`.
pub(super) fn next_id(symbols: &[Symbol]) -> SymbolId {
    SymbolId(symbols.len() as u32)
}
