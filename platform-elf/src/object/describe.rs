//! Names of a graph's parts for messages, read from the object again when somebody asks.

use std::sync::Arc;

use jit_core::graph::{BlockId, DescribeGraph, InputBytes, SymbolId};

use super::view::View;

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

    fn local_names(&self, symbols: &[SymbolId], each: &mut dyn FnMut(SymbolId, &[u8])) {
        if symbols.is_empty() {
            return;
        }
        let Ok(view) = View::parse(self.input.bytes()) else {
            return;
        };
        for &id in symbols {
            let symbol = view.symbols.get(id.0 as usize);
            let name = symbol.and_then(|symbol| view.symbol_name(symbol));
            if let Some(name) = name.filter(|name| !name.is_empty()) {
                each(id, name);
            }
        }
    }
}
