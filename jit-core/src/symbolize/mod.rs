//! Names for addresses: functions, objects, files and lines.
//!
//! A link leaves behind where it put each block of each object ([`PlacedCode`]), and nothing per
//! symbol: 4 bytes per block, for as long as the memory is in use. A [`Symbolizer`] asks the objects
//! themselves again, when somebody wants to know: their symbol tables, and the debug information
//! that compilers leave in them, moved to where the code lies. Code of the process's libraries
//! is named from their files ([`NativeCode`]).
//!
//! Addresses come in two kinds. Where code *is* (a fault, a function pointer) is asked for with
//! [`Symbolizer::locate`]; a return address lies behind its call, which may even be the last
//! instruction of its function, so it is asked for with [`Symbolizer::locate_caller`].

mod location;
mod placed;
pub(crate) mod sources;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use hashbrown::HashMap;
use orc_shared::ExecutorAddr;

use crate::demangle;
use crate::graph::{BlockId, DescribeGraph};

pub use location::{Image, Location, SourceFrame, SymbolPlace};
pub use placed::PlacedCode;
pub(crate) use placed::{NOT_PLACED, Placed, PlacedGroup, PlacedPart};
pub use sources::{CodeFile, NativeCode, NearSymbol, SourceLines};

/// Nothing is loaded but linked code.
struct NoNativeCode;

impl NativeCode for NoNativeCode {
    fn find(&self, _addr: ExecutorAddr) -> Option<(Arc<dyn CodeFile>, u64)> {
        None
    }
}

/// Names addresses. Keeps debug information that it has read, so use one for a whole backtrace,
/// and drop it then.
pub struct Symbolizer {
    code: Arc<PlacedCode>,
    natives: Arc<dyn NativeCode>,
    linked_lines: HashMap<PartKey, (Arc<PlacedGroup>, Lines)>,
    native_lines: HashMap<String, Lines>,
}

/// Debug information, if there is any.
type Lines = Option<Box<dyn SourceLines>>;

/// A part of a placed group: the group's address in this process, which the map keeps, and the
/// part's number.
type PartKey = (usize, usize);

impl Symbolizer {
    /// A symbolizer for linked code, as [`crate::session::Session::placed_code`] gives it. It keeps no
    /// code in memory.
    #[must_use]
    pub fn new(code: Arc<PlacedCode>) -> Self {
        Self {
            code,
            natives: Arc::new(NoNativeCode),
            linked_lines: HashMap::new(),
            native_lines: HashMap::new(),
        }
    }

    /// Names code of the executor's libraries, too.
    #[must_use]
    pub fn with_natives(mut self, natives: Arc<dyn NativeCode>) -> Self {
        self.natives = natives;
        self
    }

    /// What is at an address; `None` if nothing is known to be there.
    pub fn locate(&mut self, addr: ExecutorAddr) -> Option<Location> {
        self.find(addr, 0)
    }

    /// What the call belongs to that returns to an address. Offsets count to the address itself.
    pub fn locate_caller(&mut self, addr: ExecutorAddr) -> Option<Location> {
        self.find(addr, 1)
    }

    /// Looks `back` bytes before the address.
    fn find(&mut self, addr: ExecutorAddr, back: u64) -> Option<Location> {
        let asked = ExecutorAddr::new(addr.value().checked_sub(back)?);
        match self.code.find(asked) {
            Some(group) => self.locate_linked(&group, asked, back),
            None => self.locate_native(asked, back),
        }
    }

    fn locate_linked(
        &mut self,
        group: &Arc<PlacedGroup>,
        asked: ExecutorAddr,
        back: u64,
    ) -> Option<Location> {
        let (index, block, offset) = group.block_at(asked)?;
        let part = &group.parts[index];
        let describe = part.describe.as_deref();
        let near = describe.and_then(|d| d.symbol_at(block, offset));
        let key = (Arc::as_ptr(group).addr(), index);
        let lines = self.linked_lines.entry(key).or_insert_with(|| {
            let lines = describe.and_then(|d| read_lines(d, group, index));
            (group.clone(), lines)
        });
        let frames = lines.1.as_ref().map(|l| l.frames(asked.value()));
        Some(Location {
            address: asked + back,
            image: Image::Linked {
                object: part.object_name().to_owned(),
                section: describe.map_or_else(String::new, |d| d.block_section(block)),
                dylib: self.code.dylib_name(group.dylib),
            },
            symbol: near.map(|near| symbol_place(&near, back)),
            frames: readable(frames.unwrap_or_default()),
        })
    }

    fn locate_native(&mut self, asked: ExecutorAddr, back: u64) -> Option<Location> {
        let (file, file_addr) = self.natives.find(asked)?;
        let path = file.path().to_owned();
        let lines = self.native_lines.entry(path.clone());
        let lines = lines.or_insert_with(|| file.source_lines());
        let frames = lines.as_ref().map(|lines| lines.frames(file_addr));
        let near = file.symbol_at(file_addr);
        Some(Location {
            address: asked + back,
            image: Image::Native {
                path,
                file_addr: file_addr.wrapping_add(back),
            },
            symbol: near.map(|near| symbol_place(&near, back)),
            frames: readable(frames.unwrap_or_default()),
        })
    }
}

/// An object's debug information, moved to where its blocks lie. What is damaged tells nothing, and
/// is logged.
fn read_lines(
    describe: &dyn DescribeGraph,
    group: &PlacedGroup,
    index: usize,
) -> Option<Box<dyn SourceLines>> {
    let place = |block: BlockId| group.address_of(index, block);
    match describe.source_lines(&place) {
        Ok(lines) => lines,
        Err(message) => {
            let object = group.parts[index].object_name();
            tracing::warn!("debug information of {object} cannot be used: {message}");
            None
        }
    }
}

fn symbol_place(near: &NearSymbol, back: u64) -> SymbolPlace {
    SymbolPlace {
        name: demangle::readable(&near.name),
        raw_name: near.name.clone(),
        offset: near.offset.wrapping_add(back),
        size: near.size,
    }
}

/// Frames with their functions' names demangled.
fn readable(mut frames: Vec<SourceFrame>) -> Vec<SourceFrame> {
    for frame in &mut frames {
        if let Some(function) = &mut frame.function {
            *function = demangle::readable(function.as_bytes());
        }
    }
    frames
}
