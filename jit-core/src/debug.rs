//! What debuggers are shown of linked code.
//!
//! A debugger reads object files, and linked code is in none. When somebody wants to debug, a link makes
//! one of what it has put into memory: where its sections lie, the symbols and the debug information of its
//! objects, and how to unwind. Objects add their part ([`crate::graph::DescribeGraph::add_to_debug_content`]),
//! and the format of the file is the platform's ([`crate::platform::Platform::debug_image`]).

use std::collections::BTreeMap;

use orc_shared::{ExecutorAddr, ExecutorAddrRange};

use crate::graph::SectionKind;

/// What debuggers are shown of code that was linked as one.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DebugContent {
    /// Where sections lie, in the order of their addresses.
    pub sections: Vec<DebugSection>,
    /// Debug information, by the names of its sections, as in ".debug_info": what all objects have, joined and
    /// fixed up.
    pub information: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Functions and variables.
    pub symbols: Vec<DebugSymbol>,
}

/// A section that is in memory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DebugSection {
    /// Its name, as in ".text".
    pub name: Vec<u8>,
    /// Its place.
    pub range: ExecutorAddrRange,
    /// Its permissions.
    pub kind: SectionKind,
    /// Its bytes, if debuggers read them from files: how to unwind.
    pub content: Option<Vec<u8>>,
}

/// A function or a variable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DebugSymbol {
    /// Its name in the symbol table.
    pub name: Vec<u8>,
    /// Its address.
    pub address: ExecutorAddr,
    /// Its size in bytes, 0 when unknown.
    pub size: u64,
    /// Whether it is a function.
    pub is_function: bool,
    /// Whether other objects do not see it.
    pub is_local: bool,
}

impl DebugContent {
    /// The section that an address lies in, or at the end of, as an index into [`Self::sections`].
    #[must_use]
    pub fn section_at(&self, address: ExecutorAddr) -> Option<usize> {
        let after = self
            .sections
            .partition_point(|section| section.range.start <= address);
        let index = after.checked_sub(1)?;
        (address <= self.sections[index].range.end).then_some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_in_their_sections() {
        let section = |start: u64, end: u64| DebugSection {
            name: b".text".to_vec(),
            range: ExecutorAddrRange {
                start: ExecutorAddr::new(start),
                end: ExecutorAddr::new(end),
            },
            kind: SectionKind::Text,
            content: None,
        };
        let content = DebugContent {
            sections: vec![
                section(0x10, 0x20),
                section(0x20, 0x28),
                section(0x40, 0x50),
            ],
            ..DebugContent::default()
        };
        let at = |address| content.section_at(ExecutorAddr::new(address));
        assert_eq!(at(0xf), None);
        assert_eq!(at(0x10), Some(0));
        assert_eq!(at(0x20), Some(1));
        assert_eq!(at(0x28), Some(1));
        assert_eq!(at(0x29), None);
        assert_eq!(at(0x50), Some(2));
    }
}
