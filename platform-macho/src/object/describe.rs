//! Names of a graph's parts for messages, read from the object again when somebody asks.

use std::sync::Arc;

use jit_core::graph::{BlockId, DescribeGraph, InputBytes, SymbolId};
use jit_core::symbolize::NearSymbol;
use object::LittleEndian as LE;

use super::interface::plain_name;
use super::view::{Place, View};
use crate::symbol_at;

/// What is needed to name a graph's blocks and symbols.
pub(super) struct Describe {
    pub input: Arc<dyn InputBytes>,
    /// The section of each block, and its offset there; blocks beyond are common symbols and what was added.
    pub origins: Vec<(u32, u64)>,
}

impl DescribeGraph for Describe {
    fn block_section(&self, block: BlockId) -> String {
        let origin = self.origins.get(block.0 as usize);
        match (View::parse(self.input.bytes()), origin) {
            (Ok(view), Some((section, 0))) => view.section_text(*section),
            (Ok(view), Some((section, offset))) => {
                format!("{}+{offset:#x}", view.section_text(*section))
            }
            _ => format!("block {}", block.0),
        }
    }

    fn symbol(&self, symbol: SymbolId) -> String {
        let Ok(view) = View::parse(self.input.bytes()) else {
            return format!("symbol {}", symbol.0);
        };
        match symbol.0.checked_sub(view.symbols.len() as u32) {
            Some(block) => self.block_section(BlockId(block)),
            None => view.symbol_text(symbol.0),
        }
    }

    fn symbol_at(&self, block: BlockId, offset: u64) -> Option<NearSymbol> {
        let view = View::parse(self.input.bytes()).ok()?;
        let (section, start) = *self.origins.get(block.0 as usize)?;
        let at = start.checked_add(offset)?;
        let symbols = (0u32..).zip(view.symbols);
        let here = symbols.filter_map(|(index, symbol)| match view.place(index, symbol) {
            Ok(Place::Section {
                section: of,
                offset,
            }) if of == section => Some((offset, symbol)),
            _ => None,
        });
        let (from, symbol, size) =
            symbol_at::best(here, at, view.sections.get(section as usize)?.size.get(LE))?;
        Some(NearSymbol {
            name: plain_name(view.name(symbol)?).to_vec(),
            offset: at - from,
            size,
        })
    }
}
