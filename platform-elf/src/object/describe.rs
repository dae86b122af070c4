//! Names of a graph's parts for messages, read from the object again when somebody asks.

use std::sync::Arc;

use jit_core::debug::{DebugContent, DebugSymbol};
use jit_core::graph::{BlockId, DescribeGraph, InputBytes, SymbolId};
use jit_core::symbolize::{NearSymbol, SourceLines};
use object::LittleEndian as LE;
use object::elf::{STB_LOCAL, STB_WEAK, STT_FUNC, STT_GNU_IFUNC, STT_NOTYPE, STT_OBJECT, Sym64};
use orc_shared::ExecutorAddr;

use super::view::{Place, View};
use orc_inputs::dwarf;

use crate::debug_info::{DebugSections, Target};
use crate::symbol_at;

/// What is needed to name a graph's blocks and symbols.
pub(super) struct Describe {
    pub input: Arc<dyn InputBytes>,
    /// The section of each block; blocks beyond are common symbols.
    pub block_sections: Vec<u32>,
    /// The symbol of each block beyond the sections'.
    pub common_symbols: Vec<u32>,
    /// Symbols of the graph beyond the object's: the block each stands for.
    pub extra_symbols: Vec<BlockId>,
}

impl DescribeGraph for Describe {
    fn block_section(&self, block: BlockId) -> String {
        let Ok(view) = View::parse(self.input.bytes()) else {
            return format!("block {}", block.0);
        };
        let at = block.0 as usize;
        match self.block_sections.get(at) {
            Some(&section) => view.section_text(section),
            None => match self.common_symbols.get(at - self.block_sections.len()) {
                Some(&symbol) => format!("COMMON ({})", view.symbol_text(symbol)),
                None => format!("block {}", block.0),
            },
        }
    }

    fn symbol(&self, symbol: SymbolId) -> String {
        let Ok(view) = View::parse(self.input.bytes()) else {
            return format!("symbol {}", symbol.0);
        };
        let beyond = (symbol.0 as usize).checked_sub(view.symbols.len());
        match beyond.and_then(|at| self.extra_symbols.get(at)) {
            Some(&block) => self.block_section(block),
            None => view.symbol_text(symbol.0),
        }
    }

    fn symbol_at(&self, block: BlockId, offset: u64) -> Option<NearSymbol> {
        let view = View::parse(self.input.bytes()).ok()?;
        let at = block.0 as usize;
        let Some(&section) = self.block_sections.get(at) else {
            return self.common_symbol_at(&view, at - self.block_sections.len(), offset);
        };
        let symbols = view.symbols.iter().enumerate();
        let here = symbols.filter_map(|(index, symbol)| {
            let place = view.place(index as u32, symbol).ok()?;
            (place == Place::Section(section)).then_some(symbol)
        });
        let best = symbol_at::best(here, offset)?;
        Some(NearSymbol {
            name: view.symbol_name(best)?.to_vec(),
            offset: offset - best.st_value.get(LE),
            size: best.st_size.get(LE),
        })
    }

    fn source_lines(
        &self,
        place: &dyn Fn(BlockId) -> Option<ExecutorAddr>,
    ) -> Result<Option<Box<dyn SourceLines>>, String> {
        let view = View::parse(self.input.bytes())?;
        let place_of = |target| place(self.block_of(target)?);
        let mut sections = DebugSections::read(&view, &place_of)?;
        if sections.is_empty() {
            return Ok(None);
        }
        dwarf::read(|name| sections.take(name))
    }

    fn add_to_debug_content(
        &self,
        place: &dyn Fn(BlockId) -> Option<ExecutorAddr>,
        content: &mut DebugContent,
    ) -> Result<(), String> {
        let view = View::parse(self.input.bytes())?;
        let place_of = |target| place(self.block_of(target)?);
        let symbols = (0u32..).zip(view.symbols);
        let symbols = symbols.filter_map(|(index, it)| debug_symbol(&view, index, it, &place_of));
        content.symbols.extend(symbols);
        let information = std::mem::take(&mut content.information);
        let mut sections = DebugSections::of_image(information);
        let appended = sections.append(&view, &place_of);
        content.information = sections.into_sections();
        appended
    }
}

/// A symbol as debuggers are shown it, if it is in memory and people have given it its name.
fn debug_symbol(
    view: &View<'_>,
    index: u32,
    symbol: &Sym64<LE>,
    place: &dyn Fn(Target) -> Option<ExecutorAddr>,
) -> Option<DebugSymbol> {
    let is_function = match symbol.st_type() {
        STT_FUNC | STT_GNU_IFUNC => true,
        STT_OBJECT | STT_NOTYPE => false,
        _ => return None,
    };
    let (target, offset) = match view.place(index, symbol).ok()? {
        Place::Section(section) => (Target::Section(section), symbol.st_value.get(LE)),
        Place::Common { .. } => (Target::Common(index), 0),
        Place::Absolute | Place::Undefined => return None,
    };
    let name = view.symbol_name(symbol)?;
    if name.is_empty() || name.starts_with(b".L") || name.starts_with(b"$") {
        return None;
    }
    Some(DebugSymbol {
        name: name.to_vec(),
        address: place(target)? + offset,
        size: symbol.st_size.get(LE),
        is_function,
        // A weak definition may have lost to another object's.
        is_local: matches!(symbol.st_bind(), STB_LOCAL | STB_WEAK),
    })
}

impl Describe {
    /// The common symbol whose block is the `number`th of those.
    fn common_symbol_at(&self, view: &View<'_>, number: usize, offset: u64) -> Option<NearSymbol> {
        let symbol = view
            .symbols
            .get(*self.common_symbols.get(number)? as usize)?;
        Some(NearSymbol {
            name: view.symbol_name(symbol)?.to_vec(),
            offset,
            size: symbol.st_size.get(LE),
        })
    }

    /// The block of a section or of a common symbol.
    fn block_of(&self, target: Target) -> Option<BlockId> {
        let at = match target {
            // Blocks are numbered in the order of their sections.
            Target::Section(section) => self.block_sections.binary_search(&section).ok()?,
            Target::Common(symbol) => {
                let number = self.common_symbols.iter().position(|s| *s == symbol)?;
                self.block_sections.len() + number
            }
        };
        Some(BlockId(at as u32))
    }
}
