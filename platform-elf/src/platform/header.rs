//! The header of a dylib: `__dso_handle`.
//!
//! Compilers pass the address of `__dso_handle` to `__cxa_atexit`, so that a library's destructors
//! can be run when it is closed. The runtime identifies a dylib by that address. What stands there
//! is, by convention, the address itself, and not an ELF header.
//!
//! It is an object like any other, made in memory and added to every dylib.

use std::sync::Arc;

use jit_core::arch::x86_64::Kind;
use jit_core::graph::{
    Block, BlockId, Content, Edge, InputBytes, LinkGraph, Section, SectionId, SectionKind, Symbol,
    SymbolId, Target,
};
use jit_core::name::{NameId, NameTable};
use jit_core::object::{
    Claims, Definition, Linkage, ObjectError, ObjectFile, ObjectInterface, Scope, SymbolKind,
};
use orc_shared::ExecutorAddr;

/// The output section that holds nothing but the header.
pub(super) const SECTION: &[u8] = b".orc_header";

/// Bytes of a header: its own address.
const SIZE: u64 = 8;

/// The object that defines `__dso_handle`.
pub struct HeaderObject {
    section: NameId,
    symbol: NameId,
    interface: ObjectInterface,
}

impl HeaderObject {
    /// The header of one dylib.
    #[must_use]
    pub fn new(names: &NameTable) -> Self {
        let symbol = names.intern(b"__dso_handle");
        let definition = Definition {
            name: symbol,
            symbol: 0,
            linkage: Linkage::Strong,
            scope: Scope::Hidden,
            kind: SymbolKind::Data,
            size: SIZE,
            group: None,
        };
        Self {
            section: names.intern(SECTION),
            symbol,
            interface: ObjectInterface {
                definitions: vec![definition],
                ..ObjectInterface::default()
            },
        }
    }
}

impl ObjectFile for HeaderObject {
    fn name(&self) -> &str {
        "<dylib header>"
    }

    fn interface(&self) -> &ObjectInterface {
        &self.interface
    }

    fn build_graph(&self, _claims: &Claims) -> Result<LinkGraph, ObjectError> {
        let section = Section {
            output: self.section,
            kind: SectionKind::RelocatedReadOnly,
            order: 0,
            retained: true,
            bounds_retained: false,
        };
        let block = Block {
            section: SectionId(0),
            content: Content::Owned(0..SIZE as usize),
            size: SIZE,
            align: SIZE,
            edges: 0..1,
            frames: 0..0,
            live: true,
            address: ExecutorAddr::NULL,
        };
        let symbol = Symbol {
            name: Some(self.symbol),
            target: Target::Defined {
                block: BlockId(0),
                offset: 0,
            },
            size: SIZE,
            scope: Scope::Hidden,
            kind: SymbolKind::Data,
            weak: false,
        };
        let own_address = Edge {
            offset: 0,
            target: SymbolId(0),
            addend: 0,
            kind: Kind::Pointer64.edge(),
        };
        Ok(LinkGraph {
            name: self.name().to_owned(),
            input: Arc::new(NoInput),
            owned: vec![0; SIZE as usize],
            sections: vec![section],
            blocks: vec![block],
            symbols: vec![symbol],
            edges: vec![own_address],
            frames: Vec::new(),
            describe: None,
        })
    }
}

/// The header borrows nothing.
struct NoInput;

impl InputBytes for NoInput {
    fn bytes(&self) -> &[u8] {
        &[]
    }
}
