//! Who can be asked about addresses: objects, files and their debug information.

use std::sync::Arc;

use orc_shared::ExecutorAddr;

use super::location::SourceFrame;

/// A symbol of an object or a library, near a place that somebody asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NearSymbol {
    /// Its name in the symbol table.
    pub name: Vec<u8>,
    /// Bytes from the symbol to the place.
    pub offset: u64,
    /// Its size in bytes, 0 when unknown.
    pub size: u64,
}

/// Debug information of one object or library, ready to be asked.
pub trait SourceLines: Send {
    /// What the source has at an address: the innermost inlined function first, the function that it
    /// was inlined into last. Empty when nothing is known.
    fn frames(&self, addr: u64) -> Vec<SourceFrame>;
}

/// The file of code that the executor loaded by other means than this linker.
pub trait CodeFile: Send + Sync {
    /// Its path in the executor.
    fn path(&self) -> &str;

    /// The symbol that an address of the file belongs to.
    fn symbol_at(&self, file_addr: u64) -> Option<NearSymbol>;

    /// Its debug information, for addresses of the file.
    fn source_lines(&self) -> Option<Box<dyn SourceLines>>;
}

/// What is loaded in the executor beside linked code.
pub trait NativeCode: Send + Sync {
    /// The file that an address was loaded from, and the address in that file.
    fn find(&self, addr: ExecutorAddr) -> Option<(Arc<dyn CodeFile>, u64)>;
}
