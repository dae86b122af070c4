//! Names of stubs for messages, symbolizers and debuggers.

use std::sync::Arc;

use orc_shared::ExecutorAddr;

use super::object::{STUBS, Strings, TRAMPOLINES};
use crate::debug::{DebugContent, DebugSymbol};
use crate::graph::{BlockId, DescribeGraph, InputBytes as _, SymbolId};
use crate::symbolize::NearSymbol;

/// What debuggers are shown before the function's name. A breakpoint at the name itself is for the function's
/// code, which may come later, and is not to stop here.
const PREFIX: &[u8] = b"stub of ";

/// What is needed to name the stubs of an object, and its other parts.
pub(super) struct DescribeStubs {
    /// The functions' names as C strings, and where each begins.
    pub(super) strings: Arc<Strings>,
    pub(super) starts: Vec<u32>,
    /// Of one stub, in bytes.
    pub(super) stub_size: u64,
    /// Of one trampoline, in bytes.
    pub(super) trampoline_size: u64,
}

impl DescribeStubs {
    /// The name of the function at an index.
    fn name(&self, index: usize) -> Option<&[u8]> {
        let start = *self.starts.get(index)? as usize;
        let rest = self.strings.bytes().get(start..)?;
        rest.split(|byte| *byte == 0).next()
    }

    /// The size of the pieces that a block of code is made of.
    fn piece(&self, block: BlockId) -> Option<u64> {
        match block {
            STUBS => Some(self.stub_size),
            TRAMPOLINES => Some(self.trampoline_size),
            _ => None,
        }
    }
}

impl DescribeGraph for DescribeStubs {
    fn block_section(&self, block: BlockId) -> String {
        let name = match block {
            STUBS => "stubs",
            TRAMPOLINES => "trampolines",
            _ => "data of stubs",
        };
        name.to_owned()
    }

    fn symbol(&self, symbol: SymbolId) -> String {
        match self.name(symbol.0 as usize) {
            Some(name) => String::from_utf8_lossy(name).into_owned(),
            None => format!("symbol {}", symbol.0),
        }
    }

    fn symbol_at(&self, block: BlockId, offset: u64) -> Option<NearSymbol> {
        let size = self.piece(block)?;
        let index = offset.checked_div(size)?;
        Some(NearSymbol {
            name: self.name(usize::try_from(index).ok()?)?.to_vec(),
            offset: offset - index * size,
            size,
        })
    }

    fn add_to_debug_content(
        &self,
        place: &dyn Fn(BlockId) -> Option<ExecutorAddr>,
        content: &mut DebugContent,
    ) -> Result<(), String> {
        for block in [STUBS, TRAMPOLINES] {
            let (Some(start), Some(size)) = (place(block), self.piece(block)) else {
                continue;
            };
            let symbol = |index: usize| {
                Some(DebugSymbol {
                    name: [PREFIX, self.name(index)?].concat(),
                    address: start + size * index as u64,
                    size,
                    is_function: true,
                    is_local: true,
                })
            };
            let symbols = (0..self.starts.len()).filter_map(symbol);
            content.symbols.extend(symbols);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described() -> DescribeStubs {
        DescribeStubs {
            strings: Arc::new(Strings(b"first\0second\0".to_vec())),
            starts: vec![0, 6],
            stub_size: 16,
            trampoline_size: 5,
        }
    }

    #[test]
    fn places_in_stubs_and_trampolines_have_the_functions_names() {
        let it = described();
        let near = |block, offset| {
            let near = it.symbol_at(block, offset)?;
            Some((String::from_utf8(near.name).unwrap(), near.offset))
        };
        assert_eq!(near(STUBS, 15), Some(("first".to_owned(), 15)));
        assert_eq!(near(STUBS, 16), Some(("second".to_owned(), 0)));
        assert_eq!(near(STUBS, 32), None);
        assert_eq!(near(TRAMPOLINES, 7), Some(("second".to_owned(), 2)));
        assert_eq!(near(BlockId(2), 0), None);
        assert_eq!(it.symbol(SymbolId(1)), "second");
    }

    #[test]
    fn debuggers_are_shown_each_stub_that_is_in_memory() {
        let mut content = DebugContent::default();
        let place = |block| (block == STUBS).then(|| ExecutorAddr::new(0x100));
        described()
            .add_to_debug_content(&place, &mut content)
            .unwrap();
        let symbols = content.symbols.iter();
        let symbols: Vec<_> = symbols
            .map(|it| (it.name.as_slice(), it.address.value()))
            .collect();
        let expected = [
            (b"stub of first".as_slice(), 0x100),
            (b"stub of second", 0x110),
        ];
        assert_eq!(symbols, expected);
    }
}
